//! The same configuration gets the same verdict, and means the same, in the agent and in a real Collector.
//!
//! The OTLP exporters are compared, which both programs have; the rest of a configuration is each program's own.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Map, Value};
use tempfile::TempDir;
use tests::workspace;

/// The exporters of both programs that a case changes.
const EXPORTERS: &str = "
exporters:
  otlp_http: { endpoint: 'http://localhost:4318' }
  otlp_grpc: { endpoint: 'localhost:4317' }
";
const AGENT: &str = "
receivers: { ebpf: }
processors: { procinfo: }
service: { pipelines: { profiles: { receivers: [ebpf], processors: [procinfo], exporters: [otlp_http] } } }
";
const COLLECTOR: &str = "
receivers: { otlp: { protocols: { grpc: { endpoint: 'localhost:0' } } } }
service: { pipelines: { profiles: { receivers: [otlp], exporters: [otlp_http] } } }
";

/// Keys that are compared, below each exporter.
const KEYS: [&str; 15] = [
    "/endpoint",
    "/profiles_endpoint",
    "/timeout",
    "/compression",
    "/encoding",
    "/headers",
    "/max_idle_conns",
    "/idle_conn_timeout",
    "/balancer_name",
    "/sending_queue/num_consumers",
    "/sending_queue/queue_size",
    "/sending_queue/block_on_overflow",
    "/retry_on_failure/enabled",
    "/retry_on_failure/initial_interval",
    "/retry_on_failure/multiplier",
];

/// The environment variables of both programs.
const VARIABLES: [(&str, &str); 10] = [
    ("DIGITS", "0123"),
    ("QUOTED", "\"0123\""),
    ("NUMBER", "42"),
    ("TEXT", "text"),
    ("EMPTY", ""),
    ("CHAIN", "${env:DIGITS}"),
    ("MONEY", "pa$$word"),
    ("MAP", "{ x: '${env:NUMBER}', y: z }"),
    ("LOOP", "x${env:LOOP}"),
    ("TRUE", "true"),
];

/// A case: a name, files over the base, and settings.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const SOUND: [Case; 47] = [
    ("defaults", &[], &[]),
    (
        "maps are joined",
        &["exporters: { otlp_http: { timeout: 7s } }", "exporters: { otlp_http: { compression: none } }"],
        &[],
    ),
    (
        "the later wins",
        &["exporters: { otlp_http: { timeout: 7s } }", "exporters: { otlp_http: { timeout: 8s } }"],
        &[],
    ),
    (
        "null erases",
        &["exporters: { otlp_http: { headers: { a: b } } }", "exporters: { otlp_http: { headers: } }"],
        &[],
    ),
    (
        "an empty map does not",
        &["exporters: { otlp_http: { headers: { a: b } } }", "exporters: { otlp_http: { headers: {} } }"],
        &[],
    ),
    (
        "headers are joined",
        &[
            "exporters: { otlp_http: { headers: { a: b } } }",
            "exporters: { otlp_http: { headers: { c: d } } }",
        ],
        &[],
    ),
    ("a list of headers", &["exporters: { otlp_http: { headers: [{ name: a, value: b }] } }"], &[]),
    (
        "a list replaces a map",
        &[
            "exporters: { otlp_http: { headers: { a: b } } }",
            "exporters: { otlp_http: { headers: [{ name: c, value: d }] } }",
        ],
        &[],
    ),
    ("two colons", &["exporters::otlp_http::timeout: 7s"], &[]),
    ("two colons below", &["exporters: { otlp_http: { retry_on_failure::multiplier: 3 } }"], &[]),
    (
        "two colons twice",
        &["{ exporters::otlp_http::timeout: 7s, exporters::otlp_http::compression: none }"],
        &[],
    ),
    ("a setting", &[], &["exporters.otlp_http.timeout=7s"]),
    ("a setting is last", &["exporters::otlp_http::timeout: 8s"], &["exporters.otlp_http.timeout=7s"]),
    ("the last setting", &[], &["exporters.otlp_http.timeout=8s", "exporters.otlp_http.timeout=7s"]),
    ("a setting with a reference", &[], &["exporters.otlp_http.sending_queue.queue_size=${env:NUMBER}"]),
    ("a setting with a map", &[], &["exporters.otlp_http.headers={ a: b }"]),
    ("an octal number", &["exporters::otlp_http::sending_queue::queue_size: 0123"], &[]),
    ("an octal number of YAML 1.2", &["exporters::otlp_http::sending_queue::queue_size: 0o17"], &[]),
    ("a hexadecimal number", &["exporters::otlp_http::sending_queue::queue_size: 0x1F"], &[]),
    ("a binary number", &["exporters::otlp_http::sending_queue::queue_size: 0b101"], &[]),
    ("underscores", &["exporters::otlp_http::sending_queue::queue_size: 1_000"], &[]),
    ("a whole number for a float", &["exporters::otlp_http::retry_on_failure::multiplier: 2"], &[]),
    ("an exponent", &["exporters::otlp_http::retry_on_failure::multiplier: 2.5e0"], &[]),
    ("yes is a text", &["exporters::otlp_http::headers::a: yes"], &[]),
    ("nanoseconds", &["exporters::otlp_http::timeout: 1500000000"], &[]),
    ("minutes and seconds", &["exporters::otlp_http::timeout: 1m30s"], &[]),
    ("parts of a second", &["exporters::otlp_http::timeout: 1.5s"], &[]),
    ("microseconds", &["exporters::otlp_http::timeout: 1500000us"], &[]),
    ("a text from digits", &["exporters::otlp_http::headers::a: ${env:DIGITS}"], &[]),
    ("a number from digits", &["exporters::otlp_http::sending_queue::queue_size: ${env:DIGITS}"], &[]),
    ("quotes in a variable", &["exporters::otlp_http::headers::a: ${env:QUOTED}"], &[]),
    ("a bool for a text", &["exporters::otlp_http::headers::a: ${env:TRUE}"], &[]),
    ("a bool for a bool", &["exporters::otlp_http::sending_queue::block_on_overflow: ${env:TRUE}"], &[]),
    ("a variable inside a text", &["exporters::otlp_http::headers::a: x-${env:DIGITS}-${TEXT}"], &[]),
    ("a variable in a variable", &["exporters::otlp_http::headers::a: ${env:CHAIN}"], &[]),
    ("a variable that is empty", &["exporters::otlp_http::headers::a: ${env:EMPTY}"], &[]),
    ("a default that is not used", &["exporters::otlp_http::headers::a: ${env:EMPTY:-x}"], &[]),
    ("a default that is", &["exporters::otlp_http::headers::a: ${env:UNSET:-x}"], &[]),
    ("a default that is a variable", &["exporters::otlp_http::headers::a: ${env:UNSET:-${env:TEXT}}"], &[]),
    ("a variable that is not set", &["exporters::otlp_http::headers::a: ${env:UNSET}"], &[]),
    ("a map", &["exporters::otlp_http::headers: ${env:MAP}"], &[]),
    (
        "a map over a reference",
        &["exporters::otlp_http::headers: ${env:MAP}", "exporters::otlp_http::headers: { a: b }"],
        &[],
    ),
    (
        "dollar signs",
        &[
            "exporters: { otlp_http: { headers: { a: $TEXT, b: $$TEXT, c: '$${TEXT}', d: '$$${TEXT}', e: '$' } } }",
        ],
        &[],
    ),
    (
        "an escape ends expansion",
        &["exporters: { otlp_http: { headers: { a: '$${TEXT} ${TEXT}', b: '${TEXT} $${TEXT}' } } }"],
        &[],
    ),
    (
        "dollar signs in a variable",
        &["exporters: { otlp_http: { headers: { a: '${env:MONEY}', b: 'x${env:MONEY}' } } }"],
        &[],
    ),
    (
        "braces that do not match",
        &[
            "exporters: { otlp_http: { headers: { a: '${TEXT', b: 'TEXT}', c: '${TEXT}}', d: '${a${TEXT}' } } }",
        ],
        &[],
    ),
    (
        "what is not used",
        &["exporters: { otlp_http/b: { endpoint: 'http://b' }, otlp_grpc/c: { endpoint: 'c:1' } }"],
        &[],
    ),
];

const REFUSED: [Case; 28] = [
    ("nothing", &["receivers:", "exporters:"], &[]),
    ("no exporters", &["exporters:"], &[]),
    ("no pipelines", &["service: { pipelines: }"], &[]),
    ("an unknown key", &["exporters::otlp_http::timeoutt: 7s"], &[]),
    ("an unknown key of a section", &["exporters::otlp_http::sending_queue::size: 7"], &[]),
    ("a key in capitals", &["exporters::otlp_http::Timeout: 7s"], &[]),
    ("an unknown section", &["exporter: {}"], &[]),
    ("an unknown type", &["exporters: { none: {} }"], &[]),
    ("no name after the slash", &["exporters: { otlp_http/: {} }"], &[]),
    ("no type before it", &["exporters: { /a: {} }"], &[]),
    ("an id with a blank", &["exporters: { 'otlp_http/a b': { endpoint: 'http://a' } }"], &[]),
    (
        "an id that comes twice",
        &["exporters: { otlp_http/a: { endpoint: 'http://a' }, 'otlp_http / a': { endpoint: 'http://a' } }"],
        &[],
    ),
    (
        "a reference to what is not configured",
        &["service::pipelines::profiles::exporters: [otlp_http/none]"],
        &[],
    ),
    ("no exporters in a pipeline", &["service::pipelines::profiles::exporters: []"], &[]),
    ("an unknown signal", &["service::pipelines: { profile: { exporters: [otlp_http] } }"], &[]),
    ("a number for a text", &["exporters::otlp_http::headers: { a: 7 }"], &[]),
    ("a text for a number", &["exporters::otlp_http::sending_queue::queue_size: '7'"], &[]),
    (
        "two variables are no number",
        &["exporters::otlp_http::sending_queue::queue_size: ${env:NUMBER}${env:NUMBER}"],
        &[],
    ),
    ("a text for a bool", &["exporters::otlp_http::sending_queue::block_on_overflow: yes"], &[]),
    ("a list for a map", &["exporters::otlp_http: [a]"], &[]),
    ("a duration without unit", &["exporters::otlp_http::timeout: '7'"], &[]),
    ("days", &["exporters::otlp_http::timeout: 1d"], &[]),
    ("no name of a variable", &["exporters::otlp_http::headers::a: ${env:A-B}"], &[]),
    ("an unknown scheme", &["exporters::otlp_http::headers::a: ${none:a}"], &[]),
    ("a variable that leads to itself", &["exporters::otlp_http::headers::a: a${env:LOOP}"], &[]),
    ("a key that comes twice", &["exporters: { otlp_http: { timeout: 7s, timeout: 8s } }"], &[]),
    ("no YAML", &["exporters: { otlp_http: [ }"], &[]),
    (
        "a header that comes twice",
        &["exporters::otlp_http::headers: [{ name: a, value: b }, { name: a, value: b }]"],
        &[],
    ),
];

/// One of the two programs.
struct Program {
    command: fn() -> Command,
    base: &'static str,
}

const PROGRAMS: [Program; 2] = [
    Program { command: || Command::new(workspace::pipeline()), base: AGENT },
    Program { command: || Command::new(workspace::file("collector/otelcol")), base: COLLECTOR },
];

impl Program {
    fn run(&self, command: &[&str], (_, files, settings): Case) -> Output {
        let dir = TempDir::new().expect("a temporary directory");
        let mut run = (self.command)();
        run.args(command).env_clear().envs(VARIABLES).current_dir(dir.path());
        run.arg("--feature-gates=service.profilesSupport");
        for (at, text) in [EXPORTERS, self.base].iter().chain(files).enumerate() {
            let path = dir.path().join(format!("{at}.yaml"));
            fs::write(&path, text).expect("the configuration is written");
            run.arg("--config").arg(path);
        }
        for setting in settings {
            run.args(["--set", setting]);
        }
        run.output().expect("the program runs")
    }

    /// The exporters of a sound configuration, reduced to the keys that are compared.
    fn exporters(&self, case: Case) -> Map<String, Value> {
        let output = self.run(&["print-config", "--mode=unredacted", "--format=json"], case);
        assert!(output.status.success(), "{}: {output:?}", case.0);
        let config: Value = serde_json::from_slice(&output.stdout).expect("the configuration as JSON");
        let exporters = config.get("exporters").and_then(Value::as_object).expect("exporters");
        exporters.iter().map(|(id, exporter)| (id.clone(), compared(exporter))).collect()
    }
}

fn compared(exporter: &Value) -> Value {
    let found = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), normal(key, exporter.pointer(key)?)?)));
    Value::Object(found.collect())
}

/// A value in the form that both programs have: durations in nanoseconds, headers as a map; `None` for an empty value.
fn normal(key: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text)
            if key.ends_with("timeout") || key.ends_with("interval") || key.ends_with("time") =>
        {
            let nanos = configtypes::duration::parse(text).expect("a duration").as_nanos();
            Some(u64::try_from(nanos).expect("less than 584 years").into())
        }
        Value::Array(pairs) if key == "/headers" => {
            let text =
                |pair: &Value, key| pair.get(key).and_then(Value::as_str).expect("a header").to_owned();
            let pair = |pair: &Value| (text(pair, "name"), Value::from(text(pair, "value")));
            normal(key, &Value::Object(pairs.iter().map(pair).collect()))
        }
        Value::Object(map) if map.is_empty() => None,
        Value::Number(number) => number.as_f64().map(Value::from),
        other => Some(other.clone()),
    }
    .map(|value| value.as_f64().map_or(value, Value::from))
}

#[test]
#[ignore = "needs a Collector, see tests/setup.sh"]
fn a_sound_configuration_means_the_same_to_a_collector() {
    let [agent, collector] = PROGRAMS;
    for case in SOUND {
        let (mut ours, mut theirs) = (agent.exporters(case), collector.exporters(case));
        // Keys that only one program shows.
        for (id, their) in &mut theirs {
            let our = ours.get_mut(id).unwrap_or_else(|| panic!("{}: {id} is missing", case.0));
            let (Value::Object(our), Value::Object(their)) = (our, their) else { panic!("maps") };
            their.retain(|key, _| key == "/headers" || our.contains_key(key));
            our.retain(|key, _| key == "/headers" || their.contains_key(key));
            assert!(our.contains_key("/timeout") && our.contains_key("/sending_queue/queue_size"), "{our:?}");
        }
        assert_eq!(ours, theirs, "{}", case.0);
    }
}

#[test]
#[ignore = "needs a Collector, see tests/setup.sh"]
fn what_a_collector_refuses_the_agent_refuses() {
    for case in REFUSED {
        for program in PROGRAMS {
            let output = program.run(&["validate"], case);
            assert_eq!(output.status.code(), Some(1), "{}: {output:?}", case.0);
            assert!(!output.stderr.is_empty(), "{}", case.0);
        }
    }
}
