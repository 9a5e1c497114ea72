//! Tests of configurations and their faults. Each rule of the Collector has its table in a file of its own; the
//! expectations are the Collector's behaviour, by its documentation, its tests or its source.

mod durations_and_sizes;
mod faults;
mod ids;
mod references;

use proptest::prelude::*;

use super::*;

/// A configuration without faults.
const SOUND: &str = "
receivers: { ebpf: { samples_per_second: 99 } }
processors: { procinfo: {} }
exporters:
  debug: { verbosity: normal }
  file: { path: ./profiles.jsonl }
  file/b: { path: ./b.jsonl }
service: { pipelines: { profiles: { receivers: [ebpf], processors: [procinfo], exporters: [file/b, debug] } } }
";

fn environment(name: &str) -> Option<String> {
    match name {
        "DIGITS" => Some("0123".to_owned()),
        "NUMBER" => Some("42".to_owned()),
        "LIST" => Some("[debug]".to_owned()),
        "EMPTY" => Some(String::new()),
        "TEXT" => Some("text".to_owned()),
        "MAP" => Some("{ a: 1, b: { c: \"${env:NUMBER}\" } }".to_owned()),
        "CHAIN" => Some("${env:DIGITS}".to_owned()),
        "CURLY" => Some("{ not: yaml".to_owned()),
        "QUOTED" => Some("\"0123\"".to_owned()),
        "MONEY" => Some("pa$$word".to_owned()),
        "NESTS" => Some("a: ${env:NESTS}".to_owned()),
        "GROWS" => Some("[\"${env:GROWS}\", \"${env:GROWS}\"]".to_owned()),
        _ => None,
    }
}

fn load(texts: &[&str]) -> Result<Config, ConfigError> {
    let locations: Vec<_> = texts.iter().map(|text| Location::Yaml((*text).to_owned())).collect();
    Config::load(&locations, &environment)
}

fn rate(config: &Config) -> u32 {
    let (_, receiver) = &config.graph.pipelines[0].receiver;
    receiver.as_any().downcast_ref::<receiver_ebpf::Config>().expect("only ebpf is there").samples_per_second
}

fn exporters(config: &Config) -> usize {
    config.graph.pipelines[0].exporters.len()
}

/// The faults of [`SOUND`] with `text` merged into it, one a line and without their source.
fn faults(text: &str) -> String {
    match load(&[SOUND, text]) {
        Ok(config) => panic!("no fault in {text}: {config:?}"),
        Err(ConfigError::Invalid(faults)) => {
            let faults = faults.as_slice().iter().cloned();
            faults.map(|fault| Fault { source: None, ..fault }.to_string()).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_sound_configuration_names_what_runs_in_the_order_it_is_listed() {
    let config = load(&[SOUND]).unwrap();
    let [pipeline] = config.graph.pipelines.as_slice() else { panic!("one pipeline") };
    let exporters: Vec<_> = pipeline.exporters.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(exporters, ["file/b", "debug"]);
    assert_eq!(pipeline.id.to_string(), "profiles");
    assert_eq!(rate(&config), 99);
    assert_eq!(config.exporters.len(), 3, "one is configured and not used");
    assert_eq!(config.telemetry, Telemetry::default());
    assert_eq!(config.telemetry.endpoint().map(|p| (p.host.as_str(), p.port)), Some(("localhost", 8888)));
}

#[test]
fn a_later_location_wins_key_by_key_and_replaces_lists() {
    let config =
        load(&[SOUND, "receivers::ebpf::samples_per_second: 7", "service::telemetry::logs::level: warn"]);
    let config = config.unwrap();
    assert_eq!(rate(&config), 7);
    assert_eq!(config.telemetry.logs.level, LogLevel::Warn);
    let config = load(&[SOUND, "service::pipelines::profiles::exporters: [debug]"]).unwrap();
    assert_eq!(exporters(&config), 1);
}

#[test]
fn a_null_erases_a_section_and_an_empty_map_does_not() {
    assert_eq!(exporters(&load(&[SOUND, "exporters: {}"]).unwrap()), 2);
    assert!(faults("exporters:").contains("no exporter configuration specified in config"));
}

#[test]
fn a_component_or_key_without_a_value_has_its_defaults() {
    let config = load(&[SOUND, "receivers: { ebpf: { samples_per_second: } }"]).unwrap();
    let default = receiver_ebpf::Config::default().samples_per_second;
    assert_eq!(rate(&config), default);
    assert!(load(&[SOUND, "receivers: { ebpf: }", "service: { telemetry: { logs: } }"]).is_ok());
}

#[test]
fn references_to_the_environment_have_the_type_that_the_key_wants() {
    let config = load(&[
        SOUND,
        "exporters::file/b::path: ${env:DIGITS}",
        "receivers::ebpf::samples_per_second: ${NUMBER}",
        "service::pipelines::profiles::exporters: ${LIST}",
    ])
    .unwrap();
    assert_eq!(rate(&config), 42);
    assert_eq!(exporters(&config), 1);
    let config = load(&[SOUND, "exporters::file/b::path: ${env:DIGITS}"]).unwrap();
    let (_, file) = &config.graph.pipelines[0].exporters[0];
    let file: &exporter_file::Config = file.as_any().downcast_ref().expect("a file");
    assert_eq!(file.path.to_string_lossy(), "0123", "the text, not the number");
}

#[test]
fn a_reference_that_a_later_location_replaced_no_longer_lends_its_text() {
    let text = "exporters::file::path: ${env:NUMBER}";
    assert!(load(&[SOUND, text]).is_ok());
    let error = load(&[SOUND, text, "exporters::file::path: 7"]).unwrap_err().to_string();
    assert!(error.contains("exporters::file::path: expected") && error.contains("found 7"), "{error}");
}

#[test]
fn an_unset_variable_is_empty_and_reported() {
    let config = load(&[SOUND, "receivers::ebpf::samples_per_second: ${env:UNSET}"]).unwrap();
    assert_eq!(config.unset, ["UNSET"]);
    let default = receiver_ebpf::Config::default().samples_per_second;
    assert_eq!(rate(&config), default);
}

#[test]
fn a_variable_that_is_not_taken_as_it_is_is_a_doubt_which_shows_nothing_of_its_value() {
    let config = load(&[SOUND, "exporters::file::path: ${env:MONEY}"]).unwrap();
    let [doubt] = &config.doubts()[..] else { panic!("{:?}", config.doubts()) };
    assert!(doubt.contains("${raw:env:MONEY}") && !doubt.contains("pa"), "{doubt}");
    let config = load(&[SOUND, "exporters::file::path: ${raw:env:MONEY}"]).unwrap();
    assert_eq!(config.doubts(), Vec::<String>::new());
}

#[test]
fn every_fault_is_reported_with_its_place() {
    for (text, expected) in [
        (
            "nope: 1",
            "has invalid keys: nope (valid values: [receivers, processors, exporters, extensions, service])",
        ),
        ("exporter: {}", "has invalid keys: exporter (did you mean \"exporters\"?)"),
        (
            "exporters: { file: { pth: x } }",
            "exporters::file: has invalid keys: pth (did you mean \"path\"?)",
        ),
        (
            "exporters: { fiel: {} }",
            "exporters: unknown type: \"fiel\" for id: \"fiel\" (did you mean \"file\"?)",
        ),
        ("exporters: { 'file/': {} }", "exporters: in \"file/\" id: the part after / should not be empty"),
        (
            "exporters: { file/c: { path: c }, ' file/c': { path: c } }",
            "exporters: duplicate name \"file/c\" after unmarshaling",
        ),
        (
            "exporters: { debug: { verbosity: noraml } }",
            "exporters::debug::verbosity: unknown value \"noraml\" (did you mean \"normal\"?)",
        ),
        (
            "receivers: { ebpf: { samples_per_second: many } }",
            "receivers::ebpf::samples_per_second: expected a whole number from 0 to 4294967295, found \"many\"",
        ),
        (
            "receivers: { ebpf: { samples_per_second: [1] } }",
            "receivers::ebpf::samples_per_second: expected a whole number from 0 to 4294967295, found a list",
        ),
        ("exporters: { debug: [normal] }", "exporters::debug: expected a map of keys, found a list"),
        ("exporters: [debug]", "exporters: expected a map of component ids to their configurations"),
        (
            "service::telemetry::logs::level: loud",
            "service::telemetry::logs::level: unknown value \"loud\" (valid values: [debug, info, warn, error])",
        ),
        ("service::telemetri: {}", "service: has invalid keys: telemetri (did you mean \"telemetry\"?)"),
        (
            "service::telemetry::metrics::readers: []",
            "service::telemetry::metrics::readers: collector telemetry metrics reader should exist when metric \
             level is not none",
        ),
        (
            "service::telemetry::metrics::readers: [{ pull: { exporter: { prometheus: { port: 70000 } } } }]",
            "service::telemetry::metrics::readers::0::pull::exporter::prometheus::port: expected a whole number \
             from 0 to 65535, found 70000",
        ),
    ] {
        assert_eq!(faults(text), expected);
    }
}

#[test]
fn faults_of_a_pipeline_are_in_the_collectors_words() {
    let pipeline = |text: &str| faults(&format!("service::pipelines::profiles: {text}"));
    for (text, expected) in [
        (
            "{ exporters: [debug, fil] }",
            "references exporter \"fil\" which is not configured (did you mean \"file\"?)",
        ),
        (
            "{ receivers: [otlp] }",
            "references receiver \"otlp\" which is not configured: a Collector does this: send to one with the exporter `otlp_grpc`",
        ),
        (
            "{ processors: [nobatch] }",
            "references processor \"nobatch\" which is not configured (valid values: [procinfo])",
        ),
        ("{ exporters: [debug, debug] }", "references exporter \"debug\" multiple times"),
        ("{ receivers: [] }", "must have at least one receiver"),
        ("{ exporters: [] }", "must have at least one exporter"),
        (
            "{ processors: [] }",
            "must have the processor \"procinfo\": without it no sample is known by its executable",
        ),
        ("{ exporter: [] }", "has invalid keys: exporter (did you mean \"exporters\"?)"),
    ] {
        assert_eq!(pipeline(text), format!("service::pipelines::profiles: {expected}"));
    }
    assert_eq!(
        faults("service::pipelines::traces: {}"),
        "service::pipelines::traces: telemetry type is not supported: this agent has only profiles pipelines"
    );
    assert_eq!(
        faults("service::pipelines::profile: {}"),
        "service::pipelines::profile: unknown pipeline signal: \"profile\" (did you mean \"profiles\"?)"
    );
    assert_eq!(
        faults("service: { extensions: [zpages, zpages] }"),
        "service::extensions: references extension \"zpages\" which is not configured\n\
         service::extensions: references extension \"zpages\" multiple times"
    );
}

#[test]
fn pipelines_may_share_what_they_use() {
    let config = load(&[
        SOUND,
        "receivers: { ebpf/fast: { samples_per_second: 997 } }",
        "service::pipelines::profiles/b: { receivers: [ebpf], processors: [procinfo], exporters: [file] }",
        "service::pipelines::profiles/c: { receivers: [ebpf/fast], processors: [procinfo], exporters: [file, debug] }",
    ]);
    let graph = config.unwrap().graph;
    let names = |ids: Vec<ComponentId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let pipelines = graph.pipelines.iter().map(|pipeline| pipeline.id.clone());
    assert_eq!(names(pipelines.collect()), ["profiles", "profiles/b", "profiles/c"]);
    assert_eq!(names(graph.receivers().into_keys().collect()), ["ebpf", "ebpf/fast"]);
    assert_eq!(names(graph.exporters().into_keys().collect()), ["debug", "file", "file/b"]);
}

#[test]
fn faults_are_collected_from_every_section() {
    let found = faults(
        "{ receivers: { ebpf: { samples_per_second: x, bogus: 1 } }, exporters: { none: {} }, \
         service: { pipelines: { profiles: { exporters: [gone] } }, telemetry: { logs: { encoding: xml } } } }",
    );
    for place in [
        "receivers::ebpf::samples_per_second: expected",
        "receivers::ebpf: has invalid keys: bogus",
        "exporters: unknown type: \"none\"",
        "service::telemetry::logs::encoding: unknown value",
        "service::pipelines::profiles: references exporter \"gone\"",
    ] {
        assert!(found.contains(place), "{place} is not in {found}");
    }
    assert_eq!(found.lines().count(), 5, "{found}");
}

#[test]
fn values_out_of_bounds_are_told_beside_keys_that_cannot_be_read() {
    let found = faults(
        "{ exporters: { debug: { top: 0, verbosity: 7, windw: 1s }, file/b: { path: [x], window: 1h } } }",
    );
    for place in [
        "exporters::debug::top: is 0",
        "exporters::debug::verbosity: expected",
        "exporters::debug: has invalid keys: windw",
        "exporters::file/b::path: expected",
        "exporters::file/b::window: is 3600s",
    ] {
        assert!(found.contains(place), "{place} is not in {found}");
    }
    assert_eq!(found.lines().count(), 5, "{found}");
}

#[test]
fn a_value_out_of_bounds_names_the_location_it_came_from() {
    let error =
        load(&[SOUND, "exporters::debug::top: 0", "exporters::debug::window: 6s"]).unwrap_err().to_string();
    assert!(error.ends_with("top: is 0, expected 1 to 10000 (in yaml:exporters::debug::top ...)"), "{error}");
}

#[test]
fn a_fault_names_its_location_if_there_are_several() {
    let error = load(&[SOUND, "exporters::file::pth: x"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid configuration: exporters::file: has invalid keys: pth (did you mean \"path\"?) (in \
         yaml:exporters::file::pth ...)"
    );
}

#[test]
fn nothing_to_read_is_an_error() {
    assert!(matches!(Config::load(&[], &environment), Err(ConfigError::NoLocation)));
    assert_eq!(load(&[""]).unwrap_err().to_string(), "invalid configuration: empty configuration file");
    let error = load(&["- a"]).unwrap_err().to_string();
    assert_eq!(error, "invalid configuration: expected a map of keys at the top (in yaml:- ...)");
    let error = load(&["a: [1"]).unwrap_err().to_string();
    assert!(
        error.starts_with("invalid configuration: invalid YAML: ") && error.ends_with("(in yaml:a ...)"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any text is read as a configuration or is refused.
    #[test]
    fn any_text_is_read_or_refused(text in "(receivers|exporters|service|ebpf|[:{}\\[\\] \n\"'$&*!|>-]|.){0,60}") {
        let _any = load(&[&text]);
    }

    /// Any value at any key is accepted or refused, and each fault is one line.
    #[test]
    fn any_value_anywhere_is_taken_or_refused(
        key in prop::sample::select(vec![
            "receivers", "receivers::ebpf", "receivers::ebpf::samples_per_second", "exporters::file::path",
            "exporters::debug::verbosity", "service", "service::pipelines", "service::pipelines::profiles",
            "service::pipelines::profiles::exporters", "service::telemetry::metrics::readers",
            "service::telemetry::logs::level",
        ]),
        value in prop::sample::select(vec![
            "", "{}", "[]", "0", "-1", "1.5", "true", "x", "[[]]", "{ x: y }", "[{ pull: 1 }]", "99999999999999999999",
            "${env:NUMBER}", "${env:LIST}", "${env:UNSET}", "!tag x",
        ]),
    ) {
        if let Err(ConfigError::Invalid(faults)) = load(&[SOUND, &format!("{key}: {value}")]) {
            prop_assert!(!faults.as_slice().is_empty());
            prop_assert!(faults.as_slice().iter().all(|fault| !fault.message.contains('\n')));
        }
    }
}

/// A configuration as users of a Collector-based profiler have it: each name that is unknown here has advice in its
/// fault.
#[test]
fn a_collectors_configuration_is_told_how_to_be_written_here() {
    let text = "
receivers: { profiling: { samples_per_second: 19 } }
processors: { batch: {}, resourcedetection: { detectors: [env] }, k8sattributes: {}, procinfo: {} }
connectors:
exporters:
  logging: {}
  pprof: {}
  otlp: { endpoint: \"collector:4317\", insecure: true }
service:
  telemetry: { metrics: { address: \"localhost:8888\" } }
  pipelines: { profiles: { receivers: [profiling], processors: [procinfo], exporters: [otlp, kafka] } }
";
    let faults = faults(text);
    let expected = [
        "receivers: unknown type: \"profiling\" for id: \"profiling\": write `ebpf`",
        "processors: unknown type: \"batch\" for id: \"batch\": exporters batch: write `sending_queue::batch`",
        "\"resourcedetection\": write `service::telemetry::resource`",
        "\"k8sattributes\": a Collector does this",
        "exporters: unknown type: \"logging\" for id: \"logging\": write `debug`",
        "\"pprof\": write `file` with `format: pprof`",
        "exporters::otlp: has invalid keys: insecure: write it below `tls`",
        "service::telemetry::metrics: has invalid keys: address: write `readers: [{ pull:",
        "references exporter \"kafka\" which is not configured: a Collector does this: send to one",
    ];
    for expected in expected {
        assert!(faults.contains(expected), "{expected} is not in\n{faults}");
    }
    assert_eq!(faults.lines().count(), expected.len(), "{faults}");
}

#[test]
fn an_empty_section_of_a_collector_is_no_fault_and_one_with_something_in_it_is_sent_there() {
    for empty in ["connectors:", "connectors: {}"] {
        load(&[SOUND, empty]).unwrap();
    }
    load(&[SOUND, "extensions:"]).unwrap();
    assert!(faults("connectors: { count: {} }").contains("connectors: a Collector does this"));
}
