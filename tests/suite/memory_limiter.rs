//! The memory limiter of an agent that has too little memory.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use serde_json::json;
use tests::agent::{Agent, Setup};
use tests::metrics::Metrics;
use tests::program::{self, Burner, Step};
use tests::{wait, workspace};

use crate::alone;

const RATE: &str = "otelcol_receiver_ebpf_samples_per_second";
const ACCEPTED: &str = "otelcol_processor_memory_limiter_accepted_profile_samples";
const REFUSED: &str = "otelcol_processor_memory_limiter_refused_profile_samples";
const DIVISOR: &str = "otelcol_processor_memory_limiter_rate_divisor";
const USAGE: &str = "otelcol_processor_memory_limiter_usage_bytes";
const RECEIVED: &str = "otelcol_receiver_accepted_profile_samples";

/// Samples after which an agent has all the memory that it needs at the highest rate.
const SETTLED: u64 = 20_000;
/// Longest time until memory is full, or is given back, on a machine that has little time for that.
const LONGEST: Duration = Duration::from_secs(240);

/// An agent whose first processor is a limiter.
fn limited(limiter: serde_json::Value) -> Setup {
    Setup::new().samples_per_second(320).with(json!({
        "processors": { "memory_limiter": limiter },
        "service": { "pipelines": { "profiles": { "processors": ["memory_limiter", "procinfo"] } } },
    }))
}

/// The agent's metrics, once they are as the test demands.
fn metrics_when(agent: &Agent, are: impl Fn(&Metrics) -> bool) -> Metrics {
    wait::until_within(LONGEST, "the metrics to be so", || agent.metrics(), are)
}

/// No agent fits into a mebibyte: it samples at a thirty-second of the configured rate, drops every sample, and reports
/// that in metrics, log and stream. Its knowledge of processes is kept.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn above_the_hard_limit_every_sample_is_dropped_and_told() {
    let _alone = alone();
    let port = workspace::free_port();
    let setup = limited(json!({ "check_interval": "50ms", "limit_mib": 1 }));
    let exporter = json!({ "endpoint": format!("127.0.0.1:{port}") });
    let agent = setup.exporter("prometheus", exporter).start();
    let refused = |metrics: &Metrics| metrics.count(REFUSED, &[("processor", "memory_limiter")]);
    let metrics = metrics_when(&agent, |metrics| metrics.count(RATE, &[]) == 10 && refused(metrics) > 0);
    assert_eq!(metrics.count(ACCEPTED, &[]), 0);
    assert!(refused(&metrics) <= metrics.count(RECEIVED, &[]));
    assert!(metrics.count("otelcol_processor_procinfo_known_processes", &[]) > 0);
    // The losses in the stream are those that are counted; both are the same once no batch is between them.
    let told = |_: &Metrics| {
        let page = Metrics::scrape(port).expect("the exporter serves metrics");
        assert_eq!(page.count("profile_samples_total", &[]), 0);
        page.count("profile_lost_records_total", &[("reason", "sample_memory_limit")])
    };
    metrics_when(&agent, |metrics| told(metrics) == refused(metrics));
    let outcome = agent.stop();
    assert!(outcome.file.requests.is_empty(), "a window without samples is no profile");
    let lines = [
        "Memory usage is above hard limit. Dropping samples.",
        "Memory usage is above soft limit. Sampling less.",
    ];
    for line in lines {
        assert!(outcome.log.iter().any(|logged| logged.contains(line)), "{line}: {:#?}", outcome.log);
    }
}

/// A server that accepts connections and never answers keeps batches waiting: the agent samples less, and loses no
/// sample by that limit; once the waiting batches are given up, it samples as before.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn above_the_soft_limit_it_samples_less_until_there_is_memory_to_spare() {
    let _alone = alone();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let endpoint = format!("127.0.0.1:{}", silent.local_addr().expect("it has one").port());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("busy");
    program::compile(&path, "0123456789abcdef");
    let long = [Step::Cpu(Duration::from_secs(600))];
    let busy = [Burner::start(&path, &long), Burner::start(&path, &long)];
    // The memory that the agent uses at this rate while no batch waits, as the limiter measures it.
    let agent = limited(json!({})).samples_per_second(4096).start();
    let settled = metrics_when(&agent, |metrics| metrics.count(RECEIVED, &[]) > SETTLED);
    let rest = settled.count(USAGE, &[]) >> 20;
    let _outcome = agent.stop();

    let limiter = json!({ "check_interval": "100ms", "limit_mib": rest + 400, "spike_limit_mib": 368 });
    let exporter = json!({
        "endpoint": endpoint,
        "tls": { "insecure": true },
        "timeout": "60s",
        "retry_on_failure": { "enabled": false },
        "sending_queue": { "queue_size": 1, "num_consumers": 1, "block_on_overflow": true },
        "window": "100ms",
    });
    let agent = limited(limiter).samples_per_second(4096).exporter("otlp", exporter).start();
    let least = metrics_when(&agent, |metrics| metrics.count(RATE, &[]) == 4096 / 32);
    assert_eq!(least.count(DIVISOR, &[]), 32);
    drop((silent, busy));
    let most = metrics_when(&agent, |metrics| metrics.count(RATE, &[]) == 4096);
    assert_eq!((most.count(DIVISOR, &[]), most.count(REFUSED, &[])), (1, 0));
    let outcome = agent.stop();
    for line in ["Sampling less.", "Sampling more."] {
        assert!(outcome.log.iter().any(|logged| logged.contains(line)), "{line}: {:#?}", outcome.log);
    }
}
