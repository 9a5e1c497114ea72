//! Samples that the agent took arrive completely, and other programs can read them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tests::agent::{Outcome, Setup};
use tests::collector::{Collector, Lane, Protocol, Security};
use tests::otlp::OtlpFile;
use tests::program::{self, Burner, Step};
use tests::reader;
use tests::validator::{self, Rule};
use tests::wait;

use crate::alone;
use crate::queue::LONGEST_TO_EMPTY;

/// The largest message, decompressed, that a Collector takes by gRPC unless configured otherwise.
const COLLECTOR_LIMIT: u64 = 4 << 20;

/// Key of the build ID of every file that could be read.
const HTLHASH: &str = "process.executable.build_id.htlhash";

/// Runs an agent while a program uses half a second of CPU time. Returns the program's path, too.
fn profile(setup: Setup) -> (Outcome, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("seen");
    program::compile(&path, "0123456789abcdef");
    let agent = setup.samples_per_second(199).start();
    let used = Burner::start(&path, &[Step::Cpu(Duration::from_millis(500))]).finish();
    assert_eq!(used.len(), 1);
    (agent.stop(), path.to_str().expect("a path of ours is text").to_owned())
}

/// The file keeps every rule, and the decoders of protobuf and of the Collector read the same from it as ours. The
/// mapping of the program, which could be read, has every build ID.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn the_file_is_valid_and_reads_the_same_everywhere() {
    let _alone = alone();
    let (outcome, path) = profile(Setup::new());
    validator::assert_valid(&outcome.file);
    let ours = outcome.file.summary().expect("every index is good");
    let reading = reader::read(outcome.path());
    assert_eq!(reading.summary, ours);
    let by_collector = reader::go_read(outcome.path());
    assert_eq!(by_collector.summary, ours);
    // The Collector's encoder writes empty fields, which others leave out.
    assert!((reading.largest_request_bytes..COLLECTOR_LIMIT).contains(&by_collector.largest_request_bytes));
    assert!(ours.events_of(&path) > 0, "{path} is not among {:?}", ours.paths);
    let resources = outcome.file.resources().expect("every index is good");
    let frames = resources.iter().flat_map(|resource| resource.samples()).flat_map(|sample| &sample.stack);
    let mappings =
        frames.filter_map(|frame| frame.mapping.as_ref()).filter(|mapping| mapping.filename == path);
    let hashed: Vec<_> = mappings.map(|mapping| mapping.attributes.contains_key(HTLHASH)).collect();
    assert!(!hashed.is_empty() && hashed.iter().all(|&hashed| hashed), "{hashed:?}");
}

/// A Collector receives exactly the contents of the agent's own file, by each protocol, encoding and security.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_collector_receives_what_the_file_holds_whatever_way_it_comes() {
    use Protocol::{Grpc, Http};
    use Security::{Mutual, Plain, Tls};
    let ways = [
        (Grpc, Plain, json!({ "compression": "gzip" })),
        (Grpc, Plain, json!({ "compression": "zstd", "keepalive": {} })),
        (Grpc, Plain, json!({ "compression": "none", "sending_queue": { "enabled": false } })),
        (Grpc, Tls, json!({ "compression": "gzip" })),
        (Grpc, Mutual, json!({ "compression": "zstd", "tls": { "min_version": "1.3" } })),
        (Http, Plain, json!({ "compression": "gzip" })),
        (Http, Plain, json!({ "compression": "zstd" })),
        (Http, Plain, json!({ "compression": "zlib" })),
        (Http, Plain, json!({ "compression": "deflate" })),
        (Http, Plain, json!({ "compression": "none", "encoding": "json" })),
        (Http, Tls, json!({ "compression": "gzip", "encoding": "json" })),
        (Http, Mutual, json!({ "compression": "zstd", "encoding": "json", "force_attempt_http2": false })),
    ];
    let _alone = alone();
    let lanes: Vec<_> = ways.iter().map(|&(protocol, security, _)| Lane { protocol, security }).collect();
    let collector = Collector::with_lanes(&lanes);
    let setup = ways.iter().enumerate().fold(Setup::new(), |setup, (index, (.., keys))| {
        let (id, mut config) = collector.exporter(index, keys);
        config["window"] = json!("1s");
        setup.exporter(&id, config)
    });
    let (outcome, path) = profile(setup);
    validator::assert_valid(&outcome.file);
    assert_no_failure(&outcome);
    let kept = outcome.file.common().expect("every index is good");
    assert!(kept.events_of(&path) > 0, "{path} is not among {:?}", kept.paths);
    for (received, way) in collector.stop_all().iter().zip(&ways) {
        // The Collector turns inline attributes into references.
        validator::assert_valid_except(received, &[Rule::AttributeInline]);
        let received = received.common().expect("every index is good");
        assert_eq!(received, kept, "{way:?}");
    }
}

/// Requests that each queue holds when the Collector comes back: one window a second.
const HELD: f64 = 15.0;

/// A Collector that goes away in the middle of a storm of short processes and comes back gets every sample, which the
/// queue has held. Requests that it had received but not answered may come twice; the test prints how many.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_collector_that_is_away_for_a_while_gets_everything() {
    let _alone = alone();
    let collector = Collector::with_lanes(&[Lane::plain(Protocol::Grpc), Lane::plain(Protocol::Http)]);
    let keys =
        json!({ "window": "1s", "retry_on_failure": { "initial_interval": "1s", "max_interval": "2s" } });
    let setup = (0..2).fold(Setup::new().samples_per_second(199), |setup, index| {
        let (id, config) = collector.exporter(index, &keys);
        setup.exporter(&id, config)
    });
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("storm");
    program::compile(&path, "0123456789abcdef");
    let agent = setup.start();
    let storm = Storm::start(&path);
    let queued = || agent.metrics().by_label("otelcol_exporter_queue_size", "exporter");
    let collector = collector.restart(|| {
        let held = |sizes: &BTreeMap<_, f64>| sizes.values().filter(|size| **size >= HELD).count() == 2;
        wait::until("both queues to hold what the Collector misses", queued, held);
    });
    // The Collector is back and gets the held requests, the last of which leaves before the agent is stopped.
    let are_empty = |sizes: &BTreeMap<_, f64>| sizes.values().all(|size| *size == 0.0);
    wait::until_within(LONGEST_TO_EMPTY, "the queues to be drained", queued, are_empty);
    let processes = storm.stop();
    let outcome = agent.stop();
    assert!(processes > 10, "{processes} processes are no storm");
    assert!(!outcome.log.iter().any(|line| line.contains(DROPPED)), "{:#?}", outcome.log);
    let kept = outcome.file.common().expect("every index is good");
    assert!(kept.events_of(path.to_str().expect("a path of ours is text")) > 0);
    for mut received in collector.stop_all() {
        let duplicates = remove_duplicates(&mut received);
        println!("{processes} processes, {} samples, {duplicates} requests twice", kept.events);
        let received = received.common().expect("every index is good");
        assert_eq!(received, kept);
    }
}

/// Requests that the test waits for at a time.
const REQUESTS: usize = 4;

/// If one of two Collectors is stopped, the other gets its requests at once, and together they have everything.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn when_one_of_two_collectors_is_stopped_the_other_gets_the_rest() {
    let _alone = alone();
    let (going, staying) = (Collector::start(), Collector::start());
    // Retries are off, since they must not be what helps here.
    let keys = json!({
        "endpoints": [staying.endpoint()], "window": "500ms", "retry_on_failure": { "enabled": false },
    });
    let (id, config) = going.exporter(0, &keys);
    let setup = Setup::new().samples_per_second(199).window(Duration::from_millis(500)).exporter(&id, config);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("seen");
    program::compile(&path, "0123456789abcdef");
    let agent = setup.start();
    let storm = Storm::start(&path);
    let sent = || agent.metrics().count("otelcol_exporter_sent_profile_samples", &[("exporter", &id)]);
    let wait_for_more = || {
        // Several requests, so that each server gets some: on a busy machine one request has hundreds of samples.
        for _ in 0..REQUESTS {
            let before = sent();
            wait::until("more to be sent", sent, |sent| *sent > before);
        }
    };
    wait_for_more();
    let mut received = going.stop();
    wait_for_more();
    storm.stop();
    let outcome = agent.stop();
    let rest = staying.stop();
    assert!(!received.requests.is_empty() && !rest.requests.is_empty());
    received.requests.extend(rest.requests);
    let duplicates = remove_duplicates(&mut received);
    println!("{duplicates} requests twice");
    let kept = outcome.file.common().expect("every index is good");
    let received = received.common().expect("every index is good");
    assert_eq!(received, kept);
}

/// A Collector that has no pipeline for profiles is logged once for each exporter, with the remedy; all samples count
/// as failed.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_collector_without_a_pipeline_for_profiles_is_explained_once() {
    let _alone = alone();
    let collector = Collector::without_profiles(&[Lane::plain(Protocol::Grpc), Lane::plain(Protocol::Http)]);
    let keys = json!({ "window": "200ms" });
    let setup = (0..2).fold(Setup::new(), |setup, index| {
        let (id, config) = collector.exporter(index, &keys);
        setup.exporter(&id, config)
    });
    let (outcome, _path) = profile(setup);
    for id in ["otlp_grpc/0", "otlp_http/1"] {
        let of_exporter = || outcome.log.iter().filter(|line| line.contains(id));
        let hints =
            of_exporter().filter(|line| line.contains("--feature-gates=service.profilesSupport")).count();
        assert_eq!(hints, 1, "{id}: {:#?}", outcome.log);
        assert!(of_exporter().any(|line| line.contains(DROPPED)), "{id}");
    }
}

/// The message of the log line about samples that are given up.
const DROPPED: &str = "Exporting failed. Dropping data.";

/// Asserts that no exporter has logged a failure.
fn assert_no_failure(outcome: &Outcome) {
    let failures: Vec<_> = outcome.log.iter().filter(|line| line.contains("Exporting failed")).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Leaves one of equal requests; returns the number of removed ones.
fn remove_duplicates(file: &mut OtlpFile) -> usize {
    let mut seen = HashSet::new();
    let before = file.requests.len();
    file.requests.retain(|request| seen.insert(format!("{request:?}")));
    before - file.requests.len()
}

/// Short processes, started one after the other, until the storm is stopped.
struct Storm {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<usize>,
}

impl Storm {
    fn start(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (path, stopped) = (path.to_owned(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut processes = 0;
            while !stopped.load(Ordering::Relaxed) {
                let _used = Burner::start(&path, &[Step::Cpu(Duration::from_millis(20))]).finish();
                processes += 1;
            }
            processes
        });
        Self { stop, thread }
    }

    /// Stops the storm; returns the number of its processes.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every process of the storm ends well")
    }
}
