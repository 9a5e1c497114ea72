//! What the agent measured arrives, whole and readable by others.

use std::time::Duration;

use tests::agent::{Outcome, Setup};
use tests::collector::Collector;
use tests::otlp::Summary;
use tests::program::{self, Burner, Step};
use tests::reader;
use tests::validator::{self, Rule};

use crate::alone;

/// Largest message that a Collector takes by gRPC unless told otherwise, decompressed.
const COLLECTOR_LIMIT: u64 = 4 << 20;

/// Runs an agent over a program that uses half a second of CPU time. Returns the program's path too.
fn profile(setup: Setup) -> (Outcome, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("seen");
    program::compile(&path, "0123456789abcdef");
    let agent = setup.samples_per_second(199).start();
    let used = Burner::start(&path, &[Step::Cpu(Duration::from_millis(500))]).finish();
    assert_eq!(used.len(), 1);
    (agent.stop(), path.to_str().expect("a path of ours is text").to_owned())
}

/// The file keeps every rule, and protobuf's own decoder reads from it what ours does.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn the_file_is_valid_and_reads_the_same_everywhere() {
    let _alone = alone();
    let (outcome, path) = profile(Setup::new());
    validator::assert_valid(&outcome.file);
    let ours = outcome.file.summary().expect("every index is good");
    let reading = reader::read(outcome.path());
    assert_eq!(reading.summary, ours);
    assert!(ours.events_of(&path) > 0, "{path} is not among {:?}", ours.paths);
    assert!(reading.largest_request_bytes < COLLECTOR_LIMIT);
}

/// A Collector receives by gRPC exactly what the agent's own file holds.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_collector_receives_what_the_file_holds() {
    assert_delivered(Collector::start());
}

/// So it does by TLS.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_collector_receives_what_the_file_holds_by_tls() {
    assert_delivered(Collector::start_tls());
}

fn assert_delivered(collector: Collector) {
    let _alone = alone();
    let (outcome, path) = profile(Setup::new().collector(&collector));
    let received = collector.stop();
    validator::assert_valid(&outcome.file);
    // It is the Collector that makes references of what was inline.
    validator::assert_valid_except(&received, &[Rule::AttributeInline]);
    let kept = outcome.file.summary().expect("every index is good");
    let received = received.summary().expect("every index is good");
    assert!(kept.events_of(&path) > 0, "{path} is not among {:?}", kept.paths);
    // Into how many requests a window is split is each exporter's own matter.
    assert_eq!(received, Summary { requests: received.requests, ..kept });
}
