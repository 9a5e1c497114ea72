//! A new configuration replaces the old one while the agent runs, and components that it does not change go on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::agent::{Agent, Setup};
use tests::collector::Collector;
use tests::daemon::PATIENCE;
use tests::due;
use tests::metrics::Metrics;
use tests::otlp::{OtlpFile, Resource};
use tests::overlay::merge;
use tests::program::{self, Burner, Step};
use tests::validator::{self, Rule};
use tests::{http, wait, workspace};

use crate::alone;

const RATE: u32 = 499;
/// Messages of the agent's log.
const DONE: &str = "Configuration reloaded";
const REFUSED: &str = "New configuration is refused.";

/// Reloads `config`, and waits until the agent logs its `count`th reload.
pub(crate) fn reload(agent: &Agent, config: &Value, count: usize) -> String {
    agent.rewrite(config);
    agent.daemon().signal(Signal::HUP);
    wait_for(agent, DONE, count)
}

fn wait_for(agent: &Agent, text: &str, count: usize) -> String {
    let line = agent.daemon().log.wait_for_nth(text, count, PATIENCE);
    line.unwrap_or_else(|| panic!("{text:?} is not logged {count} times: {:#?}", agent.daemon().log.so_far()))
}

/// The agent's configuration with these exporters beside its file exporter, and no others.
pub(crate) fn with_exporters(agent: &Agent, exporters: &Value) -> Value {
    let mut config = agent.setup().config();
    let mut all = json!({ "file": config.pointer("/exporters/file") });
    merge(&mut all, exporters);
    let ids: Vec<_> = all.as_object().into_iter().flat_map(|map| map.keys()).cloned().collect();
    // Erased first, so that the exporters of the start do not stay.
    merge(&mut config, &json!({ "exporters": null }));
    merge(
        &mut config,
        &json!({ "exporters": all, "service": { "pipelines": { "profiles": { "exporters": ids } } } }),
    );
    config
}

/// Number of samples by executable, process and thread.
fn counts(resources: &[Resource]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for resource in resources {
        let of = (resource.text("process.executable.path"), resource.int("process.pid"));
        for sample in resource.profiles.iter().flat_map(|profile| &profile.samples) {
            let thread = sample.attributes.get("thread.id").and_then(|id| id.as_int());
            *counts.entry(format!("{of:?} {thread:?}")).or_default() += sample.events();
        }
    }
    counts
}

/// The resources that a file exporter has written at `path`. An exporter makes no file before it has a window to write,
/// and the first samples of a new program wait for its unwind rows: an exporter that ran for less may have had none.
fn read(path: &Path) -> Vec<Resource> {
    let file = OtlpFile::read_if_any(path).expect("the agent has written OTLP profiles");
    validator::assert_valid(&file);
    file.resources().expect("every index is good")
}

/// Asserts that `parts` together have the samples of `whole`, each once, that each window accounts for its samples, and
/// that every program at `paths` is there.
fn assert_same(whole: &[Resource], parts: &[Resource], paths: &[PathBuf]) {
    assert_eq!(counts(whole), counts(parts), "each sample is in exactly one of them");
    for window in due::windows(whole).values() {
        assert_eq!(window.found + window.lost, window.expected);
    }
    for path in paths {
        let path = path.to_str().expect("a path of ours is text");
        assert!(
            whole.iter().any(|resource| resource.text("process.executable.path") == path),
            "{path} is missing"
        );
    }
}

/// Asserts that no sample was dropped on the way to any exporter.
fn assert_nothing_dropped(agent: &Agent) {
    let metrics = agent.metrics();
    for name in [
        "otelcol_exporter_fanout_dropped_samples_total",
        "otelcol_exporter_fanout_given_up_samples_total",
        "otelcol_exporter_send_failed_profile_samples",
        "otelcol_exporter_enqueue_failed_profile_samples",
    ] {
        assert_eq!(metrics.count(name, &[]), 0, "{name}");
    }
}

/// Runs a program for a short time, under a name of its own.
fn short_process(dir: &Path, original: &Path, turn: usize) -> PathBuf {
    let path = dir.join(format!("short-{turn}"));
    std::fs::copy(original, &path).expect("a program is copied");
    assert_eq!(Burner::start(&path, &[Step::Cpu(Duration::from_millis(50))]).finish().len(), 1);
    path
}

/// A setup that starts with these exporters beside the file exporter.
fn starting_with(exporters: &Value) -> Setup {
    let exporters = exporters.as_object().into_iter().flatten();
    // Repeated lines of the log are not sampled.
    let logs = json!({ "service": { "telemetry": { "logs": { "sampling": { "enabled": false } } } } });
    let setup = Setup::new().samples_per_second(RATE).with(logs);
    exporters.fold(setup, |setup, (id, config)| setup.exporter(id, config.clone()))
}

/// While short processes come and go, the exporters are changed twenty times: to another file, to another window of the
/// same file, with a second exporter beside it and without. Each sample is in exactly one of the files.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn exporters_are_changed_twenty_times_and_no_sample_is_lost() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let original = dir.path().join("original");
    program::compile(&original, "0123456789abcdef");
    let file = |turn: usize| dir.path().join(format!("x-{}.jsonl", turn / 3));
    let exporters = |turn: usize| {
        let window = format!("{}ms", 300 + 100 * (turn % 3));
        let mut exporters = json!({ "file/x": { "path": file(turn), "window": window } });
        if turn.is_multiple_of(2) {
            merge(&mut exporters, &json!({ "debug": { "verbosity": "basic", "window": "300ms" } }));
        }
        exporters
    };
    let agent = starting_with(&exporters(0)).start();
    let mut paths = vec![short_process(dir.path(), &original, 0)];
    for turn in 1..=20 {
        let line = reload(&agent, &with_exporters(&agent, &exporters(turn)), turn);
        assert!(line.contains("without a gap"), "{line}");
        paths.push(short_process(dir.path(), &original, turn));
    }
    assert_nothing_dropped(&agent);
    let accepted = agent.metrics().count("otelcol_receiver_accepted_profile_samples", &[]);
    let outcome = agent.stop();
    let whole = outcome.file.resources().expect("every index is good");
    let parts: Vec<_> = (0..=20).step_by(3).flat_map(|turn| read(&file(turn))).collect();
    assert_same(&whole, &parts, &paths);
    assert!(counts(&whole).values().sum::<u64>() >= accepted, "what was accepted is there");
}

/// No sample is lost either when the exporter changes between a real Collector and a file.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn an_exporter_becomes_another_and_no_sample_is_lost() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (original, file) = (dir.path().join("original"), dir.path().join("x.jsonl"));
    program::compile(&original, "0123456789abcdef");
    let collector = Collector::start();
    let exporters = |turn: usize| match turn % 3 {
        0 => json!({ "file/x": { "path": file, "window": "300ms" } }),
        turn => json!({ "otlp_grpc/x": {
            "endpoint": collector.endpoint(),
            "tls": { "insecure": true },
            // A request that is only late is not to be sent again.
            "timeout": "60s",
            "window": format!("{}ms", 200 * turn),
        } }),
    };
    let agent = starting_with(&exporters(0)).start();
    let mut paths = Vec::new();
    for turn in 0..=20 {
        if turn > 0 {
            reload(&agent, &with_exporters(&agent, &exporters(turn)), turn);
        }
        paths.push(short_process(dir.path(), &original, turn));
    }
    assert_nothing_dropped(&agent);
    let outcome = agent.stop();
    let received = collector.stop();
    validator::assert_valid_except(&received, &[Rule::AttributeInline]);
    let whole = outcome.file.resources().expect("every index is good");
    let mut parts = received.resources().expect("every index is good");
    parts.extend(read(&file));
    assert_same(&whole, &parts, &paths);
}

/// A configuration that is not sound, or cannot be started, is refused with every fault; the old one goes on, and a
/// good one is accepted after it.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_bad_configuration_is_refused_and_the_old_one_goes_on() {
    let _alone = alone();
    let agent = Setup::new().samples_per_second(RATE).start();
    let good = agent.setup().config();
    let mut broken = good.clone();
    merge(
        &mut broken,
        &json!({ "exporters": { "fil": {} }, "receivers": { "ebpf": { "samples_per_second": 0 } } }),
    );
    let unstartable = with_exporters(&agent, &json!({ "file/x": { "path": "/nonexistent/x.jsonl" } }));
    let bad = [
        (broken, vec!["exporters", "fil", "samples_per_second"]),
        (unstartable, vec!["exporters::file/x", "/nonexistent/x.jsonl"]),
    ];
    for (turn, (config, words)) in bad.into_iter().enumerate() {
        agent.rewrite(&config);
        agent.daemon().signal(Signal::HUP);
        let line = wait_for(&agent, REFUSED, turn + 1);
        assert!(words.iter().all(|word| line.contains(word)), "{words:?} are not all in {line}");
    }
    // The old exporter still writes.
    let before = agent.file_so_far().requests.len();
    wait::until("more windows", || agent.file_so_far().requests.len(), |len| *len >= before + 2);
    reload(&agent, &good, 1);
    let log = agent.stop().log;
    assert_eq!(log.iter().filter(|line| line.contains(REFUSED)).count(), 2, "once each: {log:#?}");
}

/// A new configuration with a port that another program has is refused in a line that names the port, and metrics and
/// health are served as before; once the port is free it is used.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_port_in_use_is_refused_until_it_is_free() {
    let _alone = alone();
    let [health, other] = [(); 2].map(|()| workspace::free_port());
    let with_health = |port| {
        json!({
            "extensions": { "health_check": { "endpoint": format!("127.0.0.1:{port}") } },
            "service": { "extensions": ["health_check"] },
        })
    };
    let agent = Setup::new().samples_per_second(RATE).with(with_health(health)).start();
    let good = agent.setup().config();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, other)).expect("it was free just now");
    let prometheus = json!({ "prometheus": { "endpoint": format!("127.0.0.1:{other}") } });
    let mut moved = good.clone();
    merge(&mut moved, &with_health(other));
    for (config, turn) in [(&moved, 1), (&with_exporters(&agent, &prometheus), 2)] {
        agent.rewrite(config);
        agent.daemon().signal(Signal::HUP);
        let line = wait_for(&agent, REFUSED, turn);
        assert!(line.contains(&other.to_string()) && line.contains("in use"), "{line}");
        assert_eq!(http::get(health, "/").expect("it answers").status, 200);
        let accepted = || agent.metrics().count("otelcol_receiver_accepted_profile_samples", &[]);
        wait::until("samples", accepted, |accepted| *accepted > 0);
    }
    drop(taken);
    reload(&agent, &with_exporters(&agent, &prometheus), 1);
    assert!(Metrics::scrape(other).is_ok(), "the exporter has the port now");
    let _outcome = agent.stop();
}

/// The rate changes while the receiver runs; the receiver's other keys take a restart of it, whose cost is logged. The
/// exporters' data is kept in both cases.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_rate_changes_at_once_and_other_keys_by_a_restart() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let original = dir.path().join("original");
    program::compile(&original, "0123456789abcdef");
    let agent = Setup::new().samples_per_second(RATE).start();
    let mut paths = vec![short_process(dir.path(), &original, 0)];
    let mut config = agent.setup().config();
    merge(&mut config, &json!({ "receivers": { "ebpf": { "samples_per_second": 997 } } }));
    let line = reload(&agent, &config, 1);
    assert!(line.contains("without a gap"), "{line}");
    paths.push(short_process(dir.path(), &original, 1));
    merge(&mut config, &json!({ "processors": { "procinfo": { "max_exited_age": "30s" } } }));
    let line = reload(&agent, &config, 2);
    assert!(line.contains("Nothing was sampled meanwhile.") && line.contains("gap="), "{line}");
    paths.push(short_process(dir.path(), &original, 2));
    merge(
        &mut config,
        &json!({ "service": { "pipelines": { "profiles/b": {
        "receivers": ["ebpf"], "processors": ["procinfo"], "exporters": ["file"],
    } } } }),
    );
    reload(&agent, &config, 3);
    paths.push(short_process(dir.path(), &original, 3));

    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    let events = |path: &PathBuf| {
        let own = resources.iter().filter(|of| Some(of.text("process.executable.path")) == path.to_str());
        own.map(Resource::events).sum::<u64>()
    };
    let events: Vec<_> = paths.iter().map(events).collect();
    assert!(events.iter().all(|count| *count > 0), "each is seen: {events:?}");
    assert!(events[3] % 2 == 0, "two pipelines of one receiver bring each sample twice: {events:?}");
    let periods: Vec<_> =
        resources.iter().flat_map(|of| &of.profiles).map(|profile| profile.period).collect();
    assert!(
        periods.iter().any(|period| *period > 2_000_000) && periods.iter().any(|period| *period < 1_100_000)
    );
}
