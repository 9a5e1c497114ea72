//! A reload while a sending queue is full: acked samples are sent, all others are counted, and the agent logs what it
//! has done.

use serde_json::{Value, json};
use tests::agent::{Agent, Setup};
use tests::collector::Collector;
use tests::otlp::{OtlpFile, Resource};
use tests::overlay::merge;
use tests::{validator, wait, workspace};

use crate::alone;
use crate::queue::{LONGEST_TO_EMPTY, Queued, on_disk, windows};
use crate::reload::{reload, with_exporters};

const ENQUEUE_FAILED: &str = "otelcol_exporter_enqueue_failed_profile_samples";
const SEND_FAILED: &str = "otelcol_exporter_send_failed_profile_samples";
const SENT: &str = "otelcol_exporter_sent_profile_samples";
const QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
/// Requests that fit into the queue that a test fills.
const FITS: u64 = 10;
/// Requests that fit into the queue of the successor: more than a slow machine has waiting, so that it does not fill
/// up.
const FITS_ALL: u64 = 1000;

fn count(agent: &Agent, name: &str, exporter: &str) -> u64 {
    agent.metrics().count(name, &[("exporter", exporter)])
}

/// Number of samples that the queue had no room for, once there are more than `before`.
fn wait_until_it_overflows(agent: &Agent, exporter: &str, before: u64) -> u64 {
    let refused = || count(agent, ENQUEUE_FAILED, exporter);
    wait::until("the queue to be full", refused, |refused| *refused > before)
}

fn samples(file: &OtlpFile) -> u64 {
    file.resources().expect("every index is good").iter().map(Resource::events).sum()
}

/// Reloads the configuration, and asserts that the agent logs a reload without a gap.
fn reload_without_gap(agent: &Agent, config: &Value, turn: usize) {
    let line = reload(agent, config, turn);
    assert!(line.contains("without a gap"), "{line}");
}

/// For a queue in memory: a reload that keeps its exporter leaves the queue as it is; a reload that replaces the
/// exporter has all requests tried once more and counted, and the successor starts with an empty queue.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_full_queue_in_memory_is_tried_once_more_and_counted() {
    let _alone = alone();
    let exporter = |endpoint: &str, fits: u64| {
        json!({
            // A request that is only late is not to be sent again.
            "endpoint": endpoint, "tls": { "insecure": true }, "timeout": "60s", "window": "300ms",
            "sending_queue": { "queue_size": fits, "num_consumers": 1 },
            "retry_on_failure": { "initial_interval": "100ms", "max_interval": "200ms" },
        })
    };
    let nobody = exporter(&format!("localhost:{}", workspace::free_port()), FITS);
    let agent = Setup::new().samples_per_second(499).exporter("otlp_grpc/old", nobody.clone()).start();
    let before = wait_until_it_overflows(&agent, "otlp_grpc/old", 0);
    let beside = json!({ "otlp_grpc/old": nobody, "debug": { "verbosity": "basic" } });
    reload_without_gap(&agent, &with_exporters(&agent, &beside), 1);
    wait_until_it_overflows(&agent, "otlp_grpc/old", before);
    assert_eq!(count(&agent, SEND_FAILED, "otlp_grpc/old"), 0, "what waits goes on waiting");

    let collector = Collector::start();
    let successor = json!({ "otlp_grpc/new": exporter(&collector.endpoint(), FITS_ALL) });
    reload_without_gap(&agent, &with_exporters(&agent, &successor), 2);
    // A request is counted before it leaves the queue.
    let waiting = || agent.metrics().get(QUEUE_SIZE, &[("exporter", "otlp_grpc/old")]);
    wait::until_within(LONGEST_TO_EMPTY, "the old queue to be empty", waiting, |size| *size == Some(0.0));
    wait::until("more to be sent", || count(&agent, SENT, "otlp_grpc/new"), |sent| *sent > 0);
    let [full, given_up] = [ENQUEUE_FAILED, SEND_FAILED].map(|name| count(&agent, name, "otlp_grpc/old"));
    assert!(full > before && given_up > 0, "{full} found no room, {given_up} were given up");
    let outcome = agent.stop();
    let received = collector.stop();
    validator::assert_valid_except(&received, &[validator::Rule::AttributeInline]);
    let (whole, arrived) = (samples(&outcome.file), samples(&received));
    assert_eq!(whole - arrived, full + given_up, "{arrived} of {whole} have arrived, the others are counted");
    let rejecting = outcome.log.iter().filter(|line| line.contains("Rejecting data."));
    assert_eq!(rejecting.count(), 1, "once for all that found no room: {:#?}", outcome.log);
}

/// For a queue on disk: the successor, whose configuration names another server, sends the requests of its predecessor.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_full_queue_on_disk_is_sent_by_the_successor() {
    let _alone = alone();
    let storage = tempfile::tempdir().expect("a temporary directory");
    let queued = Queued::new(&format!("localhost:{}", workspace::free_port()), storage.path());
    let size =
        json!({ "exporters": { "otlp": { "sending_queue": { "queue_size": FITS }, "window": "300ms" } } });
    let agent = queued.setup.with(size).start();
    wait_until_it_overflows(&agent, "otlp", 0);
    let collector = Collector::start();
    let mut config = agent.setup().config();
    let successor = json!({ "endpoint": collector.endpoint(), "sending_queue": { "queue_size": FITS_ALL } });
    merge(&mut config, &json!({ "exporters": { "otlp": successor } }));
    reload_without_gap(&agent, &config, 1);
    wait::until("more to be sent than was waiting", || count(&agent, SENT, "otlp"), |sent| *sent > 0);
    wait::until_within(
        LONGEST_TO_EMPTY,
        "an empty queue",
        || agent.metrics().get(QUEUE_SIZE, &[("exporter", "otlp")]),
        |size| *size == Some(0.0),
    );
    let full = count(&agent, ENQUEUE_FAILED, "otlp");
    assert_eq!(count(&agent, SEND_FAILED, "otlp"), 0, "nothing is given up");
    let outcome = agent.stop();
    let (kept, received) = (on_disk(&outcome.log), collector.stop());
    let arrived = windows(&received);
    let lost: Vec<_> = kept.iter().filter(|window| !arrived.contains_key(window)).collect();
    assert!(
        kept.len() as u64 >= FITS && lost.is_empty(),
        "of {} windows, these are lost: {lost:?}",
        kept.len()
    );
    assert!(arrived.values().all(|times| *times == 1), "none was sent twice: {arrived:?}");
    let (whole, arrived) = (samples(&outcome.file), samples(&received));
    assert_eq!(whole - arrived, full, "{arrived} of {whole} have arrived, the others found no room");
}
