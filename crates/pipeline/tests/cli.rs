//! Tests of the binary's output and exit codes, as far as no kernel is needed.

#![expect(clippy::unwrap_used, reason = "a helper of tests may panic as they may")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const SOUND: &str = "
receivers: { ebpf: }
processors: { procinfo: }
exporters: { debug: }
service: { pipelines: { profiles: { receivers: [ebpf], processors: [procinfo], exporters: [debug] } } }
";

fn pipeline(arguments: &[&str]) -> Output {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.current_dir(config).env("RUST_BACKTRACE", "0").args(arguments).output().unwrap()
}

/// The standard error of a run that must fail with exit code 1 and print nothing else.
fn refusal(arguments: &[&str]) -> String {
    let output = pipeline(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The fault of [`SOUND`] with `text` merged into it: one line, the same for a run and for `validate`.
fn refusal_of(text: &str) -> String {
    let dir = TempDir::new().unwrap();
    let (base, over) = (dir.path().join("base.yaml"), dir.path().join("over.yaml"));
    fs::write(&base, SOUND).unwrap();
    fs::write(&over, text).unwrap();
    let (base, over) = (base.to_str().unwrap(), over.to_str().unwrap());
    let error = refusal(&["--config", base, "--config", over]);
    assert_eq!(refusal(&["validate", "--config", base, "--config", over]), error);
    assert_eq!(error.lines().count(), 1, "{error}");
    let (told, place) = error.trim_end().rsplit_once(" (in ").unwrap_or((error.trim_end(), ""));
    assert!(place.is_empty() || place.starts_with(&format!("{over}:")) || place.starts_with(base), "{error}");
    told.to_owned()
}

#[test]
fn a_sound_configuration_validates_in_silence() {
    for config in ["agent.yaml", "reference.yaml", "examples/sidecar.yaml"] {
        let output = pipeline(&["validate", "--config", config, "--feature-gates=service.profilesSupport"]);
        assert!(output.status.success(), "{config}: {output:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{config}: {output:?}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_warned_of() {
    let output = pipeline(&[
        "validate",
        "--config",
        "agent.yaml",
        "--set",
        "receivers.ebpf.samples_per_second=${NOT_SET}",
    ]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text, "Warning: configuration references unset environment variable \"NOT_SET\"\n");
}

/// Expansion takes `$$` for `$`, and `${c}` for a variable: a secret with either arrives as another.
#[test]
fn a_variable_whose_value_is_changed_is_warned_of_and_not_shown() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.args(["validate", "--config", "agent.yaml", "--set", "service.telemetry.resource.key=${KEY}"]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config"));
    let output = command.env("KEY", "1st$$2nd${THIRD}4th").env("THIRD", "3rd").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let [line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(
        line.starts_with("Warning: ") && line.contains("KEY") && line.contains("${raw:env:KEY}"),
        "{line}"
    );
    for part in ["1st", "2nd", "3rd", "4th"] {
        assert!(!line.contains(part), "{line}");
    }
}

/// A storage that keeps a day of requests, and retries that give each up after five minutes.
#[test]
fn retries_that_end_before_the_storage_are_warned_of() {
    let storage = "yaml:{extensions: {file_storage: {directory: /tmp}}, service: {extensions: [file_storage]}, \
                   exporters: {otlp_http: {endpoint: 'http://localhost:1', sending_queue: {storage: file_storage}}}}";
    let used = "service.pipelines.profiles.exporters=[otlp_http]";
    let validate = |set: &[&str]| {
        let arguments = ["validate", "--config", "agent.yaml", "--config", storage, "--set", used];
        let output = pipeline(&[&arguments, set].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(validate(&[]), "");
    let text = validate(&["--set", "exporters.otlp_http.retry_on_failure.max_elapsed_time=5m"]);
    assert!(
        text.starts_with(
            "Warning: exporters::otlp_http::retry_on_failure::max_elapsed_time: gives requests up after 5m0s"
        ),
        "{text}"
    );
}

#[test]
fn the_version_and_the_components_are_told() {
    let version = pipeline(&["--version"]);
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        format!("pipeline version {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(pipeline(&["-v"]).status.code(), Some(0));
    let components = String::from_utf8(pipeline(&["components"]).stdout).unwrap();
    let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&components).unwrap();
    for (class, expected) in [
        ("receivers", vec!["ebpf"]),
        ("processors", vec!["procinfo"]),
        ("exporters", vec!["debug", "file", "otlp_grpc", "otlp", "otlp_http", "otlphttp"]),
    ] {
        let listed = yaml[class].as_sequence().unwrap();
        let names: Vec<_> = listed.iter().map(|component| component["name"].as_str().unwrap()).collect();
        assert!(expected.iter().all(|name| names.contains(name)), "{expected:?} are not all in {names:?}");
        for component in listed {
            assert_eq!(component["stability"]["profiles"].as_str(), Some("Development"));
        }
    }
}

#[test]
fn without_a_configuration_the_flag_is_named() {
    assert_eq!(refusal(&[]), "Error: at least one config flag must be provided\n");
    assert_eq!(refusal(&["--set", "a=1"]), "Error: at least one config flag must be provided\n");
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    assert_eq!(
        refusal(&["--config", "/nonexistent.yaml"]),
        "Error: unable to read the config file /nonexistent.yaml (named by --config): No such file or directory (os \
         error 2)\n"
    );
}

#[test]
fn an_empty_configuration_is_said_to_be_empty() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("empty.yaml");
    fs::write(&path, "# nothing\n").unwrap();
    assert_eq!(
        refusal(&["--config", path.to_str().unwrap()]),
        "Error: invalid configuration: empty configuration file\n"
    );
}

#[test]
fn what_is_no_yaml_is_told_with_its_line() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, "receivers:\n  ebpf: [1\n").unwrap();
    let error = refusal(&["--config", path.to_str().unwrap()]);
    assert!(error.starts_with("Error: invalid configuration: invalid YAML: "), "{error}");
    assert!(
        error.ends_with(&format!(" (in {}:2)\n", path.display())) && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn a_flag_that_makes_no_sense_is_named() {
    assert_eq!(
        refusal(&["--config", "agent.yaml", "--set", "a.b"]),
        "Error: --set \"a.b\": missing equal sign, expected key=value\n"
    );
    assert_eq!(
        refusal(&["--config", "ftp://x"]),
        "Error: --config ftp:...: scheme is not supported (valid values: [file, env, yaml])\n"
    );
    assert_eq!(
        refusal(&["--config", "agent.yaml", "--feature-gates", "ab"]),
        "Error: no such feature gate \"ab\". valid gates: [service.profilesSupport]\n"
    );
    assert_eq!(
        refusal(&["--config", "agent.yaml", "--feature-gates=-service.profilesSupport"]),
        "Error: feature gate \"service.profilesSupport\" is stable, can not be disabled\n"
    );
    assert!(refusal(&["--confg", "agent.yaml"]).contains("'--config'"));
}

#[test]
fn each_fault_names_its_place_and_the_fix_in_one_line() {
    for (text, expected) in [
        (
            "receivers: { ebpf: { sample_per_second: 19 } }",
            "receivers::ebpf: has invalid keys: sample_per_second (did you mean \"samples_per_second\"?)",
        ),
        (
            "receivers: { ebpf: { samples_per_second: fast } }",
            "receivers::ebpf::samples_per_second: expected a whole number from 0 to 4294967295, found \"fast\"",
        ),
        (
            "exporters: { debg: {} }",
            "exporters: unknown type: \"debg\" for id: \"debg\" (did you mean \"debug\"?)",
        ),
        (
            "exporters: { debug: { window: 5 seconds } }",
            "exporters::debug::window: invalid duration \"5 seconds\": expected a number with a unit, like 300ms, 5s \
             or 1h30m",
        ),
        (
            "exporters: { file: {} }",
            "exporters::file::path: is missing, expected a file to write, like ./profiles.jsonl",
        ),
        (
            "service: { pipelines: { profiles: { exporters: [file] } } }",
            "service::pipelines::profiles: references exporter \"file\" which is not configured (valid values: [debug])",
        ),
        (
            "service: { telemetry: { logs: { level: INFO } } }",
            "service::telemetry::logs::level: unknown value \"INFO\" (did you mean \"info\"?)",
        ),
    ] {
        assert_eq!(refusal_of(text), format!("Error: invalid configuration: {expected}"));
    }
}

#[test]
fn several_faults_are_told_together_one_a_line() {
    let error = refusal(&["--config", "agent.yaml", "--set", "nope=1", "--set", "exporters.file.path=7"]);
    assert_eq!(
        error,
        "Error: invalid configuration: has invalid keys: nope (valid values: [receivers, processors, exporters, \
         extensions, service]) (in --set nope ...)\n       exporters::file::path: expected a path, found 7 (in --set \
         exporters::file::path ...)\n"
    );
}

/// As configuration, and in the place of a value: nothing waits for a writer for ever.
#[test]
fn a_pipe_that_nobody_writes_to_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe");
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
    let pipe = pipe.to_str().unwrap();
    for error in [refusal(&["--config", pipe]), refusal_of(&format!("service: ${{file:{pipe}}}"))] {
        assert!(error.contains(pipe) && error.contains("it does not answer within 10s"), "{error}");
    }
}
