//! All faults of a file are reported at once, each with its place.

use std::process::Command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ten_faults.yaml");

/// The faults of [`FILE`]: the line, and the message.
const FAULTS: [(usize, &str); 11] = [
    (11, "mapping key \"verbosity\" already defined at line 10"),
    (
        14,
        "exporters::file::path: environment variable \"NOT-A-NAME\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$",
    ),
    (
        29,
        "has invalid keys: pipelines (valid values: [receivers, processors, exporters, extensions, service])",
    ),
    (
        28,
        "service::telemetry::logs::level: unknown value \"loud\" (valid values: [debug, info, warn, error])",
    ),
    (4, "receivers::ebpf::samples_per_second: expected a whole number from 0 to 4294967295, found \"many\""),
    (
        7,
        "processors::procinfo::max_exited_age: invalid duration \"5 minutes\": expected a number with a unit, like 300ms, 5s or 1h30m",
    ),
    (10, "exporters::debug::verbosity: unknown value \"noraml\" (did you mean \"normal\"?)"),
    (19, "exporters::debug/c::top: is 0, expected 1 to 10000"),
    (15, "exporters: unknown type: \"fiel\" for id: \"fiel/b\" (did you mean \"file\"?)"),
    (13, "exporters::file: has invalid keys: pth (did you mean \"path\"?)"),
    (16, "exporters: in \"file/\" id: the part after / should not be empty"),
];

#[test]
fn validate_prints_every_fault_of_a_file_with_its_line_and_exits_with_1() {
    let output = Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(["validate", "--config", FILE])
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    let told = told.strip_prefix("Error: invalid configuration: ").unwrap_or(&told);
    let mut told: Vec<_> = told.lines().map(str::trim).collect();
    let reference = FAULTS.len();
    for (line, message) in FAULTS {
        let expected = format!("{message} (in {FILE}:{line})");
        let at = told.iter().position(|fault| *fault == expected);
        let at = at.unwrap_or_else(|| panic!("{expected:?} is not among the other {reference}: {told:#?}"));
        told.remove(at);
    }
    let last = "service::pipelines::profiles: references exporter \"otlp_grpc\" which is not configured";
    assert!(
        matches!(told.as_slice(), [only] if only.starts_with(last) && only.ends_with(":22)")),
        "{told:#?}"
    );
}
