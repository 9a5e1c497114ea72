//! Tests of the binary's commands; no kernel is needed unless a test says so.

#![expect(clippy::unwrap_used, reason = "a helper of tests may panic as they may")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The reference's components with their defaults, and no server to reach.
const SOUND: &str = "
receivers: { ebpf: }
processors: { procinfo: }
exporters: { debug: }
service:
  pipelines: { profiles: { receivers: [ebpf], processors: [procinfo], exporters: [debug] } }
  telemetry: { metrics: { level: none } }
";

fn pipeline(arguments: &[&str]) -> Output {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    command.current_dir(config).env("RUST_BACKTRACE", "0").args(arguments).output().unwrap()
}

/// The standard output of a command that must succeed without a line on standard error.
fn printed(arguments: &[&str]) -> String {
    let output = pipeline(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard output and error of a command that must fail with exit code 1.
fn refused(arguments: &[&str]) -> (String, String) {
    let output = pipeline(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// [`SOUND`] with `text` merged into it, as arguments.
fn with(text: &str) -> [String; 4] {
    ["--config".to_owned(), format!("yaml:{SOUND}"), "--config".to_owned(), format!("yaml:{text}")]
}

fn arguments<'a>(command: &[&'a str], config: &'a [String; 4]) -> Vec<&'a str> {
    command.iter().copied().chain(config.iter().map(String::as_str)).collect()
}

#[test]
fn the_configuration_is_printed_with_defaults_and_without_secrets() {
    let config = with(
        "
exporters: { otlp_grpc: { endpoint: 'h:1', headers: { authorization: 'Bearer hunter2' } } }
service: { pipelines: { profiles: { exporters: [otlp_grpc] } } }",
    );
    let text = printed(&arguments(&["print-config"], &config));
    let yaml: Value = serde_yaml_ng::from_str(&text).unwrap();
    assert_eq!(yaml["receivers"]["ebpf"]["samples_per_second"], 19);
    assert_eq!(yaml["exporters"]["otlp_grpc"]["headers"]["authorization"], "[REDACTED]");
    assert_eq!(yaml["exporters"]["debug"]["window"], "5s", "an exporter that is not used is shown, too");
    assert_eq!(yaml["service"]["pipelines"]["profiles"]["exporters"], json!(["otlp_grpc"]));
    assert_eq!(yaml["service"]["shutdown_timeout"], "10s");
    assert!(!text.contains("hunter2"));

    let json = printed(&arguments(&["print-initial-config", "--format=json"], &config));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), yaml);
    let unredacted = printed(&arguments(&["print-config", "--mode", "unredacted"], &config));
    let unredacted: Value = serde_yaml_ng::from_str(&unredacted).unwrap();
    assert_eq!(unredacted["exporters"]["otlp_grpc"]["headers"]["authorization"], "Bearer hunter2");
}

#[test]
fn a_section_without_a_value_is_there_and_one_that_is_absent_stays_away() {
    for (sections, expected) in
        [("", Value::Null), (", rotation: ", json!(100)), (", rotation: {}", json!(100))]
    {
        let config = with(&format!("exporters: {{ file: {{ path: p.jsonl{sections} }} }}"));
        let text = printed(&arguments(&["print-config"], &config));
        let yaml: Value = serde_yaml_ng::from_str(&text).unwrap();
        assert_eq!(yaml["exporters"]["file"]["rotation"]["max_megabytes"], expected, "{sections:?}");
        let again = printed(&["print-config", "--config", &format!("yaml:{text}")]);
        assert_eq!(again, text);
    }
}

#[test]
fn what_is_printed_is_a_configuration_that_says_the_same() {
    for config in ["reference.yaml", "agent.yaml", "examples/to-file.yaml"] {
        let text = printed(&["print-config", "--mode=unredacted", "--config", config]);
        assert_eq!(
            printed(&["print-config", "--mode=unredacted", "--config", &format!("yaml:{text}")]),
            text
        );
    }
}

#[test]
fn a_configuration_that_is_not_sound_is_printed_only_if_that_is_asked_for() {
    let config = with("exporters: { debug: { top: 0 } }");
    let (out, error) = refused(&arguments(&["print-config"], &config));
    assert!(
        out.is_empty() && error.starts_with("Error: invalid configuration: exporters::debug::top: "),
        "{error}"
    );
    let output = pipeline(&arguments(&["print-config", "--validate=false"], &config));
    assert!(output.status.success());
    let yaml: Value = serde_yaml_ng::from_slice(&output.stdout).unwrap();
    assert_eq!(yaml["exporters"]["debug"]["top"], 0);
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.starts_with("Warning: exporters::debug::top: "), "{warning}");
}

#[test]
fn arguments_that_make_no_sense_are_told_in_the_collectors_words() {
    for (command, expected) in [
        (
            &["print-config", "--mode", "x"][..],
            "Error: invalid mode \"x\": modes are: redacted, unredacted\n",
        ),
        (&["print-config", "--format", "toml"], "Error: unrecognized print format: toml\n"),
        (&["featuregate", "nope"], "Error: feature \"nope\" not found\n"),
        (
            &["components", "--feature-gates=nope"],
            "Error: no such feature gate \"nope\". valid gates: [service.profilesSupport]\n",
        ),
    ] {
        let config = with("{}");
        let all = if command[0] == "print-config" { arguments(command, &config) } else { command.to_vec() };
        assert_eq!(refused(&all), (String::new(), expected.to_owned()));
    }
}

#[test]
fn gates_are_listed_as_by_the_collector() {
    let list = printed(&["featuregate"]);
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("ID                       Enabled  Stage   Description"));
    assert!(
        lines.next().unwrap().starts_with("service.profilesSupport  true     Stable  Profiles"),
        "{list}"
    );
    let one = printed(&["featuregate", "service.profilesSupport"]);
    let (head, _) = one.split_once("\nDescription: ").unwrap();
    assert_eq!(head, "Feature: service.profilesSupport\nEnabled: true\nStage: Stable");
}

#[test]
fn the_schema_is_printed() {
    let schema: Value = serde_json::from_str(&printed(&["schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&serde_yaml_ng::from_str(SOUND).unwrap()));
    assert!(!validator.is_valid(&json!({ "exporters": { "debg": {} } })));
}

#[test]
fn a_shell_is_told_how_to_complete() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completion", shell]);
        assert!(script.contains("print-config") && script.contains("feature-gates"), "{shell}");
    }
    refused(&["completion", "command.com"]);
}

#[test]
fn help_tells_the_exit_codes() {
    let help = printed(&["--help"]);
    assert!(help.contains("Exit codes:\n  0  ") && help.contains("\n  1  "), "{help}");
}

/// Lines of `validate --environment` about checks whose name starts with `name`.
fn checks(out: &str, name: &str) -> Vec<String> {
    let lines =
        out.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(name)));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_would_keep_the_agent_from_running_is_a_line_each() {
    let dir = TempDir::new().unwrap();
    let server = TcpListener::bind("localhost:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let file = dir.path().join("none/p.jsonl");
    // Port 1 is tcpmux, which no machine serves.
    let config = with(&format!(
        "
extensions: {{ file_storage: {{ directory: {gone} }}, file_storage/here: {{ directory: {here} }} }}
exporters:
  file: {{ path: {file} }}
  otlp_grpc: {{ endpoint: 'localhost:{port}', tls: {{ insecure: true }} }}
  otlp_grpc/gone: {{ endpoint: 'localhost:1', tls: {{ insecure: true }} }}
service:
  extensions: [file_storage, file_storage/here]
  pipelines: {{ profiles: {{ exporters: [file, otlp_grpc, otlp_grpc/gone] }} }}
  telemetry:
    metrics:
      level: normal
      readers: [{{ pull: {{ exporter: {{ prometheus: {{ host: localhost, port: {port} }} }} }} }}]
",
        file = file.display(),
        gone = dir.path().join("gone").display(),
        here = dir.path().display(),
    ));
    let (out, error) = refused(&arguments(&["validate", "--environment"], &config));
    let file = checks(&out, "exporters::file");
    assert!(file.len() == 1 && file[0].starts_with("failed   exporters::file: path: cannot open "), "{out}");
    let server = checks(&out, "exporters::otlp_grpc:");
    assert!(server.iter().all(|line| line.starts_with("ok ")), "{out}");
    assert!(server.iter().any(|line| line.ends_with(&format!("localhost:{port} answers"))), "{out}");
    let gone = checks(&out, "exporters::otlp_grpc/gone");
    assert!(
        gone.iter()
            .any(|line| line.starts_with("failed   ") && line.contains("localhost:1 cannot be reached")),
        "{out}"
    );
    let storage = checks(&out, "extensions::file_storage");
    assert!(storage[0].starts_with("failed   extensions::file_storage: directory: cannot create"), "{out}");
    assert_eq!(storage[1], "ok       extensions::file_storage/here: could start", "{out}");
    let metrics = checks(&out, "service::telemetry::metrics");
    assert!(metrics.len() == 1 && metrics[0].contains("cannot listen on localhost:"), "{out}");
    assert!(out.contains("kernel: Linux "), "{out}");
    let failed = out.lines().filter(|line| line.starts_with("failed ")).count();
    assert_eq!(error, format!("Error: {failed} of {} checks failed\n", out.lines().count()));
}

#[test]
fn a_configuration_that_is_not_sound_is_told_before_the_machine_is_looked_at() {
    let (out, error) =
        refused(&arguments(&["validate", "--environment"], &with("exporters: { debug: { top: 0 } }")));
    assert!(out.is_empty() && error.contains("exporters::debug::top"), "{error}");
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn this_machine_passes() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("p.jsonl");
    let config = with(&format!(
        "exporters: {{ file: {{ path: {} }} }}\nservice: {{ pipelines: {{ profiles: {{ exporters: [file] }} }} }}",
        file.display()
    ));
    let out = printed(&arguments(&["validate", "--environment"], &config));
    assert!(out.contains("ok       BPF programs: loaded and verified\n"), "{out}");
    assert!(out.contains("ok       exporters::file: could start\n"), "{out}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "looking has changed nothing");
    let doctor = printed(&["doctor"]);
    assert!(doctor.contains("ok       BPF programs: loaded and verified\n"), "{doctor}");
    assert!(doctor.contains("ok       CAP_BPF: granted\n"), "{doctor}");
}

/// The page of a file is served on the loopback device only, for clients that use its own name, and gone after a
/// signal.
#[test]
fn a_profile_is_shown_until_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.folded");
    fs::write(&file, "app;main;f 3\napp;main;g 1\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
    let mut view = command.arg("view").arg(&file).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(view.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://127.0.0.1:").unwrap().trim_end_matches('/');
    let port: u16 = address.parse().unwrap();
    let ask = |host: &str, method: &str, path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("localhost", "GET", "/api/status");
    assert!(answer.contains(" 200 ") && answer.contains("\"samples\":4"), "{answer}");
    assert!(ask("localhost", "GET", "/").contains("pipeline-file"));
    assert!(ask("evil.example", "GET", "/api/status").contains(" 403 "));
    assert!(ask("localhost", "POST", "/api/status").contains(" 405 "));
    let pid = rustix::process::Pid::from_child(&view);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(view.wait().unwrap().code(), Some(0));
    let (_, error) = refused(&["view", directory.path().join("none").to_str().unwrap()]);
    assert!(error.contains("cannot read"), "{error}");
}

#[test]
fn profiles_are_converted_and_compared_or_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("a.folded"), "app;main;f 3\napp;main;g 1\n").unwrap();
    fs::write(path("b.folded"), "app;main;f 1\napp;main;g 1\n").unwrap();
    for name in ["a.pb.gz", "a.svg", "a.speedscope.json", "a.json", "a.html"] {
        printed(&["convert", &path("a.folded"), &path(name)]);
        assert!(!fs::read(path(name)).unwrap().is_empty());
    }
    printed(&["convert", &path("a.pb.gz"), &path("back.folded")]);
    assert_eq!(
        fs::read_to_string(path("back.folded")).unwrap(),
        fs::read_to_string(path("a.folded")).unwrap()
    );
    printed(&["diff", &path("a.folded"), &path("b.folded"), "-o", &path("diff.folded")]);
    assert_eq!(fs::read_to_string(path("diff.folded")).unwrap(), "app;main;f 1 1\napp;main;g 1 1\n");
    for name in ["diff.svg", "diff.html"] {
        printed(&["diff", &path("a.folded"), &path("b.folded"), "-o", &path(name)]);
        assert!(!fs::read(path(name)).unwrap().is_empty());
    }
    fs::write(path("torn.folded"), "app;main 1\napp\n").unwrap();
    let (_, error) = refused(&["convert", &path("torn.folded"), &path("a.svg")]);
    assert!(error.contains("torn.folded") && error.contains("line 2"), "{error}");
    assert!(fs::read_to_string(path("a.svg")).unwrap().ends_with("</svg>\n"), "it is as it was");
    let (_, error) = refused(&["convert", &path("a.folded"), &path("a.unknown")]);
    assert!(error.contains("--format"), "{error}");
}
