//! Each fault names its place: path, file and line. Through the binary: `tests/faults.rs` of this crate.

use std::io::Write as _;

use tempfile::NamedTempFile;

use super::*;

/// The faults of files merged into [`SOUND`], with `FILE` and a number in the place of their names.
fn reported(texts: &[&str]) -> Vec<String> {
    let files: Vec<NamedTempFile> = texts
        .iter()
        .map(|text| {
            let mut file = NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        })
        .collect();
    let mut locations = vec![Location::Yaml(SOUND.to_owned())];
    locations.extend(files.iter().map(|file| Location::File(file.path().to_owned())));
    let Err(ConfigError::Invalid(faults)) = Config::load(&locations, &environment) else {
        panic!("no fault")
    };
    let name = |fault: &Fault| {
        let mut text = fault.to_string();
        for (at, file) in files.iter().enumerate() {
            text = text.replace(&file.path().display().to_string(), &format!("FILE{}", at + 1));
        }
        text
    };
    faults.as_slice().iter().map(name).collect()
}

#[test]
fn a_fault_names_the_line_of_its_key() {
    for (name, texts, expected) in [
        (
            "a value of the wrong type",
            vec!["receivers:\n  ebpf:\n    samples_per_second: x\n"],
            "receivers::ebpf::samples_per_second: expected a whole number from 0 to 4294967295, found \"x\" (in FILE1:3)",
        ),
        (
            "an unknown key",
            vec!["exporters:\n\n  debug:\n    top: 5\n    tpo: 5\n"],
            "exporters::debug: has invalid keys: tpo (did you mean \"top\"?) (in FILE1:5)",
        ),
        (
            "an unknown section",
            vec!["exporters: {}\nexporter: {}\n"],
            "has invalid keys: exporter (did you mean \"exporters\"?) (in FILE1:2)",
        ),
        (
            "a value out of bounds, in the last file that says it",
            vec![
                "exporters:\n  debug:\n    top: 5\n",
                "# why\nexporters:\n  debug:\n    window: 6s\n    top: 0\n",
            ],
            "exporters::debug::top: is 0, expected 1 to 10000 (in FILE2:5)",
        ),
        (
            "in the first, if the second says nothing of it",
            vec!["exporters:\n  debug:\n    top: 0\n", "exporters:\n  debug:\n    window: 6s\n"],
            "exporters::debug::top: is 0, expected 1 to 10000 (in FILE1:3)",
        ),
        (
            "an item of a list",
            vec![
                "service:\n  pipelines:\n    profiles:\n      exporters:\n        - debug\n        - [debug]\n",
            ],
            "service::pipelines::profiles::exporters::1: expected a string, found a list (in FILE1:6)",
        ),
        (
            "a key that is not there: where it would be",
            vec!["exporters:\n  debug: {}\n  file/x:\n    append: true\n"],
            "exporters::file/x::path: is missing, expected a file to write, like ./profiles.jsonl (in FILE1:3)",
        ),
        (
            "what a reference gave: where the reference is",
            vec!["exporters:\n  debug:\n    top: ${env:LIST}\n"],
            "exporters::debug::top: expected a whole number from 0 to 18446744073709551615, found a list (in FILE1:3)",
        ),
        (
            "inside of what a reference gave",
            vec!["exporters:\n  debug: {}\n  debug/x: ${env:MAP}\n"],
            "exporters::debug/x: has invalid keys: a (valid values: [",
        ),
        (
            "a reference that cannot be expanded",
            vec!["exporters:\n  debug:\n    verbosity: normal\n    top: ${env:1}\n"],
            "exporters::debug::top: environment variable \"1\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$ (in FILE1:4)",
        ),
        (
            "a reference to a component",
            vec!["# one\nservice:\n  pipelines:\n    profiles:\n      exporters: [nope]\n"],
            "service::pipelines::profiles: references exporter \"nope\" which is not configured (valid values: [debug, file, file/b]) (in FILE1:4)",
        ),
        (
            "a key that comes twice",
            vec!["exporters:\n  debug: {}\n  debug: {}\n"],
            "mapping key \"debug\" already defined at line 2 (in FILE1:3)",
        ),
        ("what is no YAML", vec!["exporters:\n  debug: {}\n a: 1\n"], "invalid YAML: "),
    ] {
        let reported = reported(&texts);
        assert!(reported.first().is_some_and(|fault| fault.starts_with(expected)), "{name}: {reported:#?}");
    }
}

#[test]
fn every_file_that_is_no_yaml_is_told() {
    let reported = reported(&["a: [", "a: {}", "b: }"]);
    assert_eq!(reported.len(), 2, "{reported:#?}");
    assert!(
        reported.first().unwrap().ends_with("(in FILE1:1)")
            && reported.last().unwrap().ends_with("(in FILE3:1)")
    );
}
