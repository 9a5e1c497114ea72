//! The three readers of OTLP files: ours, and two independent ones.

use std::fs;
use std::process::Command;

use tests::otlp::{OtlpFile, ReadError};
use tests::reader;
use tests::validator::{self, Rule};
use tests::workspace;

const VALID: &str = include_str!("../fixtures/valid.json");

/// The fixture as a file of one line.
fn line() -> Vec<u8> {
    let request: serde_json::Value = serde_json::from_str(VALID).expect("the fixture is JSON");
    format!("{request}\n").into_bytes()
}

/// Every index is resolved to the entry that the fixture's author meant.
#[test]
fn our_reader_follows_every_index() {
    let resources = OtlpFile::parse(&line()).unwrap().resources().unwrap();
    let [burn, kernel] = resources.as_slice() else { panic!("{resources:?}") };
    assert_eq!(burn.text("process.executable.path"), "/opt/burn");
    assert_eq!(burn.int("process.pid"), Some(4242));
    assert_eq!((burn.events(), kernel.events()), (3, 1));

    let profile = &burn.profiles[0];
    assert_eq!((profile.until - profile.from, profile.period), (5_000_000_000, 52_631_578));
    assert_eq!(profile.attributes["pipeline.samples.lost"].as_int(), Some(0));
    let deep = &profile.samples[1];
    assert_eq!(deep.times, [1_785_578_404_999_999_999]);
    assert_eq!(deep.attributes["thread.name"].as_text(), Some("burn"));
    assert_eq!(deep.attributes["thread.id"].as_int(), Some(4243));
    assert_eq!(deep.stack[0].functions, ["vmlinux"]);
    assert!(deep.stack[0].mapping.is_none());
    let user = deep.stack[1].mapping.as_ref().unwrap();
    assert_eq!((deep.stack[1].address, user.filename.as_str()), (4660, "/opt/burn"));
}

/// The Collector's version of the fixture reads the same, and keeps every rule but the one that it is known to break.
#[test]
fn what_a_collector_writes_reads_as_what_it_received() {
    let sent = OtlpFile::parse(&line()).unwrap();
    let received = OtlpFile::parse(include_bytes!("../fixtures/received.jsonl")).unwrap();
    assert_eq!(received.summary().unwrap(), sent.summary().unwrap());
    validator::assert_valid_except(&received, &[Rule::AttributeInline]);
    assert!(!validator::validate(&received.requests[0]).is_empty());
}

/// A damaged file is refused at its damage: a cut line, a number for a 64-bit integer, an unknown key.
#[test]
fn our_reader_refuses_what_is_not_otlp_json() {
    for damaged in [
        "{\"resourceProfiles\":[".to_owned(),
        VALID.replace("\"5000000000\"", "5000000000").replace('\n', ""),
        VALID.replace("stackTable", "stacks").replace('\n', ""),
    ] {
        let file = [line(), damaged.into_bytes()].concat();
        assert!(matches!(OtlpFile::parse(&file), Err(ReadError::Line { line: 2, .. })));
    }
}

/// Our reader, protobuf's own and the Collector's agree on every figure, so a fault in one cannot hide: for inline
/// attributes, and for the references that a Collector makes of them.
#[test]
#[ignore = "needs tests/setup.sh"]
fn the_independent_readers_agree_on_the_fixtures() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("valid.jsonl");
    let received = include_bytes!("../fixtures/received.jsonl").to_vec();
    fs::write(&path, [line(), received].concat()).unwrap();
    let reading = reader::read(&path);
    assert_eq!(reading.summary, OtlpFile::read(&path).unwrap().summary().unwrap());
    assert_eq!((reading.summary.requests, reading.summary.events), (2, 8));
    assert!(reading.largest_request_bytes > 0);
    assert_eq!(reader::go_read(&path).summary, reading.summary);
}

/// The readers agree on files of protobuf, too.
#[test]
#[ignore = "needs tests/setup.sh"]
fn the_independent_readers_agree_on_protobuf() {
    let path = workspace::file("fixtures/valid.binpb");
    let twice = [line(), line()].concat();
    let expected = OtlpFile::parse(&twice).unwrap().summary().unwrap();
    assert_eq!(reader::read(&path).summary, expected);
    assert_eq!(reader::go_read(&path).summary, expected);
}

/// Files that a Collector's file exporter has written, as lines and as protobuf, are converted to the stacks that the
/// Collector was sent.
#[test]
fn a_collectors_files_are_converted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let stacks = |name: &str| {
        let out = dir.path().join(name).with_extension("folded");
        let mut command = Command::new(workspace::pipeline());
        let output =
            command.arg("convert").arg(workspace::file(&format!("fixtures/{name}"))).arg(&out).output();
        let output = output.expect("it starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        fs::read_to_string(out).expect("it was written")
    };
    let sent = stacks("valid.json");
    assert_eq!(
        sent,
        "[kworker/0:1];vmlinux 1\nburn;burn+0x125c;burn+0x1234 2\nburn;burn+0x125c;burn+0x1234;vmlinux 1\n"
    );
    assert_eq!(stacks("received.jsonl"), sent);
    assert_eq!(
        stacks("valid.binpb"),
        sent.replace(" 2\n", " 4\n").replace(" 1\n", " 2\n"),
        "it is there twice"
    );
}
