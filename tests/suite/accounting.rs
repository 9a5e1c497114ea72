//! The figures that the agent reports on itself agree with its output.

use std::time::Duration;

use serde_json::json;
use tests::agent::{Agent, Outcome, Setup};
use tests::due;
use tests::metrics::Metrics;
use tests::otlp::{self, Resource};
use tests::program::{self, Burner, Step};
use tests::{wait, workspace};

use crate::alone;

const ACCEPTED: &str = "otelcol_receiver_accepted_profile_samples";
const SENT: &str = "otelcol_exporter_sent_profile_samples";
const FAILED: &str = "otelcol_exporter_send_failed_profile_samples";
const HITS: &str = "otelcol_processor_procinfo_cache_hits_total";
const OTLP: [(&str, &str); 1] = [("exporter", "otlp")];
const FILE: [(&str, &str); 1] = [("exporter", "file")];

/// The metrics that the documentation recommends for monitoring.
const DOCUMENTED: [&str; 9] = [
    ACCEPTED,
    SENT,
    HITS,
    "otelcol_receiver_ebpf_records_lost_total",
    "otelcol_receiver_ebpf_late_events_total",
    "otelcol_receiver_ebpf_watermark_lag_seconds",
    "otelcol_processor_procinfo_cache_misses_total",
    "otelcol_processor_procinfo_late_events_total",
    "otelcol_processor_procinfo_held_processes",
];

/// The counters exist, move while a program runs, and agree with the file: the count of sent samples is that of a
/// number of whole requests of the file, and all samples that were ever accepted are in the file at the end.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_counters_agree_with_the_file() {
    let _alone = alone();
    let agent = Setup::new().samples_per_second(199).start();
    let early = scrape_after(&agent, SENT, &FILE, 0);
    burn(Duration::from_millis(300));
    let late = scrape_after(&agent, SENT, &FILE, early.count(SENT, &FILE));
    for name in DOCUMENTED {
        assert!(late.get(name, &[]).is_some(), "{name} is missing");
    }
    for name in [ACCEPTED, SENT, HITS] {
        assert!(early.count(name, &[]) < late.count(name, &[]), "{name} does not move");
    }

    let written = written(&agent.stop());
    let total = *written.last().expect("it starts with one");
    for metrics in [early, late] {
        let (accepted, sent) = (metrics.count(ACCEPTED, &[]), metrics.count(SENT, &FILE));
        assert!(written.contains(&sent), "{sent} samples sent, but requests end at {written:?}");
        assert!(
            sent <= accepted && accepted <= total,
            "{sent} sent, {accepted} accepted, {total} in the file"
        );
    }
}

/// Samples that an exporter cannot deliver are counted as failed, one by one: those of the same windows that are in the
/// file.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn what_cannot_be_delivered_is_counted() {
    let _alone = alone();
    let nobody = format!("localhost:{}", workspace::free_port());
    // The exporter fails at once, and in the order of the windows: a retried request is not given up yet.
    let exporter = json!({
        "endpoint": nobody,
        "tls": { "insecure": true },
        "retry_on_failure": { "enabled": false },
        "sending_queue": { "num_consumers": 1 },
    });
    let agent = Setup::new().samples_per_second(199).exporter("otlp", exporter).start();
    let metrics = scrape_after(&agent, FAILED, &OTLP, 0);
    assert_eq!(metrics.count(SENT, &OTLP), 0);
    let (written, failed) = (written(&agent.stop()), metrics.count(FAILED, &OTLP));
    assert!(written.contains(&failed), "{failed} samples failed, but requests end at {written:?}");
}

/// Each window of the file holds exactly the samples that it reports as expected and not as lost.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn every_window_accounts_for_its_samples() {
    let _alone = alone();
    let agent = Setup::new().samples_per_second(997).window(Duration::from_millis(200)).start();
    burn(Duration::from_secs(1));
    let resources = agent.stop().file.resources().expect("every index is good");
    let windows = due::windows(&resources);
    assert!(windows.len() >= 5, "{windows:?}");
    for window in windows.values() {
        assert_eq!(window.found + window.lost, window.expected, "{windows:#?}");
    }
}

/// Uses CPU time, so that there is something to count.
fn burn(time: Duration) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("burn");
    program::compile(&path, "0123456789abcdef");
    assert_eq!(Burner::start(&path, &[Step::Cpu(time)]).finish().len(), 1);
}

/// Samples in the file after each of its requests, from 0 on.
fn written(outcome: &Outcome) -> Vec<u64> {
    let mut written = vec![0];
    let mut total = 0;
    for request in &outcome.file.requests {
        let resources = otlp::resolve(request).expect("every index is good");
        total += resources.iter().map(Resource::events).sum::<u64>();
        written.push(total);
    }
    written
}

/// The metrics once the series `name` of `labels` is above `count`.
fn scrape_after(agent: &Agent, name: &str, labels: &[(&str, &str)], count: u64) -> Metrics {
    let what = format!("{name} to rise above {count}");
    wait::until(&what, || agent.metrics(), |metrics| metrics.count(name, labels) > count)
}
