//! A queue on disk loses no request that it has acked, whatever happens to the agent, the server and the disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::agent::Setup;
use tests::collector::Collector;
use tests::daemon::Daemon;
use tests::metrics::Metrics;
use tests::otlp::{OtlpFile, Resource};
use tests::{wait, workspace};

use crate::alone;

/// Number of times that the agent is killed.
const KILLS: u64 = 20;
/// Number of requests that are sent at a time.
const CONSUMERS: u64 = 4;
const SENT: &str = "otelcol_exporter_sent_profile_samples";
const QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
/// Metric of the times that the file could not be used.
const FAILURES: &str = "otelcol_extension_file_storage_failures_total";
/// Longest time until a queue is empty: for each window that leaves it, another one comes.
pub(crate) const LONGEST_TO_EMPTY: Duration = Duration::from_secs(300);
/// The message with which the agent logs each request that is on disk.
const QUEUED: &str = "Queued on disk.";
/// Requests on disk at which a run is killed, so that its file has contents to be damaged.
const WINDOWS_A_RUN: u64 = 3;
/// Most requests that a run leaves on disk although they were delivered: those of the last transaction, at five windows
/// a second.
const UNREMOVED: u64 = 2;

/// An agent with windows of 200 ms that keeps its queue in `storage`, with its log as JSON.
pub(crate) struct Queued {
    pub(crate) setup: Setup,
    metrics_port: u16,
}

impl Queued {
    pub(crate) fn new(endpoint: &str, storage: &Path) -> Self {
        let metrics_port = workspace::free_port();
        let setup = Setup::new().metrics_port(metrics_port).samples_per_second(199);
        let setup = setup.window(Duration::from_millis(200)).otlp(endpoint).with(json!({
            "exporters": { "otlp": {
                // A request that is only late is not to be sent again.
                "timeout": "60s",
                "sending_queue": { "storage": "file_storage", "num_consumers": CONSUMERS },
                "retry_on_failure": { "initial_interval": "100ms", "max_interval": "500ms" },
            } },
            "extensions": { "file_storage": {
                "directory": storage,
                "fsync_interval": "0s",
                "timeout": "0s",
            } },
            "service": {
                "extensions": ["file_storage"],
                "telemetry": { "logs": {
                    "level": "debug",
                    "encoding": "json",
                    "sampling": { "enabled": false },
                } },
            },
        }));
        Self { setup, metrics_port }
    }

    fn start(&self) -> Daemon {
        let agent = Daemon::start("the agent", &mut self.setup.command());
        agent.wait_for_log("Everything is ready.");
        agent
    }

    /// Waits until every request in the queue has been sent. Requests of an earlier run are in the queue before the
    /// first window of this run is on disk.
    fn wait_until_sent(&self, agent: &Daemon) {
        agent.wait_for_log(QUEUED);
        let size = || self.metric(QUEUE_SIZE);
        wait::until_within(LONGEST_TO_EMPTY, "an empty queue", size, |size| *size == Some(0.0));
    }

    /// The exporter's metric of this name; `None` if there is none.
    fn metric(&self, name: &str) -> Option<f64> {
        Metrics::scrape(self.metrics_port).ok()?.get(name, &[("exporter", "otlp")])
    }
}

/// A window as both sides identify it: its start and its number of samples.
pub(crate) type Window = (u64, u64);

/// The windows that the agent has logged as written to disk, each of them once.
pub(crate) fn on_disk(log: &[String]) -> Vec<Window> {
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["msg"] == QUEUED);
    let number = |line: &Value, key| line.get(key).and_then(Value::as_u64).expect("a number");
    lines.map(|line| (number(&line, "start"), number(&line, "samples"))).collect()
}

/// The number of times that each window is in a file.
pub(crate) fn windows(file: &OtlpFile) -> BTreeMap<Window, u64> {
    let mut windows = BTreeMap::new();
    for request in &file.requests {
        let resources =
            OtlpFile { requests: vec![request.clone()] }.resources().expect("every index is good");
        let samples = resources.iter().map(Resource::events).sum();
        let start = resources.iter().flat_map(|resource| &resource.profiles).next().expect("a profile").from;
        *windows.entry((start, samples)).or_default() += 1;
    }
    windows
}

/// The number of lines of a log that hold `text`.
fn lines(log: &[String], text: &str) -> usize {
    log.iter().filter(|line| line.contains(text)).count()
}

/// Keeps one CPU busy until it is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let load = Self(done.clone());
        thread::spawn(move || while !done.load(Ordering::Relaxed) {});
        load
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Every window that was on disk when the agent was killed, or before, arrives, although the server comes and goes.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn what_is_queued_arrives_though_the_agent_is_killed_over_and_over() {
    let _alone = alone();
    let storage = tempfile::tempdir().expect("a temporary directory");
    let mut collector = Collector::start();
    let queued = Queued::new(&collector.endpoint(), storage.path());
    let (mut kept, mut kills) = (Vec::new(), 0);
    let mut run_and_kill_twice = |is_server_there| {
        for _ in 0..2 {
            let agent = queued.start();
            if is_server_there {
                wait::until("something to be sent", || queued.metric(SENT), |sent| *sent > Some(0.0));
            } else {
                agent.wait_for_logs(QUEUED, WINDOWS_A_RUN);
            }
            // Killed at another point of a window each time, without an assumption about what has happened by then.
            thread::sleep(Duration::from_millis(37 * kills % 200));
            kills += 1;
            agent.signal(Signal::KILL);
            kept.extend(on_disk(&agent.wait().log));
        }
    };
    let load = Load::start();
    for _ in 0..KILLS / 4 {
        run_and_kill_twice(true);
        collector = collector.restart(|| run_and_kill_twice(false));
    }
    drop(load);
    assert_eq!(kills, KILLS);
    let agent = queued.start();
    queued.wait_until_sent(&agent);
    agent.signal(Signal::INT);
    agent.wait().assert_code(0);
    let arrived = windows(&collector.stop());
    let lost: Vec<_> = kept.iter().filter(|window| !arrived.contains_key(window)).collect();
    assert!(lost.is_empty(), "of {} windows, these are lost: {lost:?}", kept.len());
    assert!(kept.len() as u64 >= KILLS / 2 * WINDOWS_A_RUN, "{} windows have been on disk", kept.len());
    let duplicates: u64 = arrived.values().map(|times| times - 1).sum();
    println!("{} windows on disk, {} arrived, {duplicates} more than once", kept.len(), arrived.len());
    assert!(duplicates <= KILLS * (CONSUMERS + UNREMOVED), "{duplicates} have arrived more than once");
}

/// A small file system, unmounted when this is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: PathBuf, size: &str) -> Self {
        fs::create_dir(&at).expect("the directory is made");
        let options = format!("size={size},mode=0700");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).status();
        assert!(status.expect("mount starts").success(), "a tmpfs is mounted");
        Self(at)
    }

    /// Fills the file system up.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let ballast = File::create(&path).expect("the ballast is made");
        let mut at = 0;
        while let Ok(written) = ballast.write_at(&[1; 4096], at) {
            at += written as u64;
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, since an agent that a failed test leaves may still have the file system open.
        _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// If the disk is full the queue goes on in memory, with one warning, and on disk again when there is room: no
/// request is lost or sent twice.
#[test]
#[ignore = "needs root: mounts a tmpfs, loads BPF programs; and tests/setup.sh"]
fn a_full_disk_loses_nothing() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Room for all windows until the Collector is back, once the ballast is gone.
    let disk = Tmpfs::mount(dir.path().join("disk"), "64m");
    let collector = Collector::start();
    let queued = Queued::new(&collector.endpoint(), &disk.0);
    let file = dir.path().join("profiles.jsonl");
    let queued = Queued { setup: queued.setup.file(&file), ..queued };
    let agent = queued.start();
    let collector = collector.restart(|| {
        agent.wait_for_log("Queued on disk.");
        let ballast = disk.fill();
        agent.wait_for_log("Keeping the queue in memory until it works.");
        // The exporter tries the disk again meanwhile, and fails again.
        let failures = || queued.metric(FAILURES);
        wait::until("it to try again", failures, |failures| failures.is_some_and(|count| count >= 3.0));
        fs::remove_file(ballast).expect("the ballast is removed");
        agent.wait_for_log("The queue is kept on disk again.");
    });
    queued.wait_until_sent(&agent);
    agent.signal(Signal::INT);
    let ended = agent.wait();
    ended.assert_code(0);
    assert_eq!(lines(&ended.log, "Keeping the queue in memory until it works."), 1);
    let dropped: Vec<_> = ended.log.iter().filter(|line| line.contains("Dropping data.")).collect();
    assert!(dropped.is_empty(), "{dropped:#?}");
    let written = windows(&OtlpFile::read(&file).expect("the agent has written OTLP profiles"));
    // Requests on disk that the agent had not taken up when it ended are left to the next one.
    let agent = queued.start();
    queued.wait_until_sent(&agent);
    agent.signal(Signal::INT);
    agent.wait().assert_code(0);
    let arrived = windows(&collector.stop());
    let other_than_once: Vec<_> = written
        .keys()
        .map(|window| (window, arrived.get(window)))
        .filter(|(_, times)| *times != Some(&1))
        .collect();
    assert!(other_than_once.is_empty(), "of {} windows: {other_than_once:?}", written.len());
}

/// The agent survives a damaged file: requests that are whole in it arrive.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_damaged_file_is_survived() {
    let _alone = alone();
    let storage = tempfile::tempdir().expect("a temporary directory");
    let collector = Collector::start();
    let queued = Queued::new(&collector.endpoint(), storage.path());
    let file = storage.path().join("exporter_otlp.redb");
    let mut kept = Vec::new();
    // The damages to the file: its root is lost; it is cut in half.
    let damages: [fn(&File); 2] = [
        |file| file.write_all_at(&[0; 4096], 0).expect("the file is damaged"),
        |file| file.set_len(file.metadata().expect("its size").len() - 8192).expect("the file is cut"),
    ];
    let collector = collector.restart(|| {
        for damage in damages {
            let agent = queued.start();
            agent.wait_for_logs(QUEUED, WINDOWS_A_RUN);
            agent.signal(Signal::KILL);
            kept.extend(on_disk(&agent.wait().log));
            damage(&File::options().write(true).open(&file).expect("the file is there"));
        }
    });
    let agent = queued.start();
    queued.wait_until_sent(&agent);
    agent.signal(Signal::INT);
    let ended = agent.wait();
    ended.assert_code(0);
    assert_eq!(lines(&ended.log, "Going on with what is whole in it."), 1);
    assert!(file.with_extension("redb.corrupt-1").exists());
    let arrived = windows(&collector.stop());
    let lost = kept.iter().filter(|window| !arrived.contains_key(*window)).count();
    assert!(kept.len() as u64 >= 2 * WINDOWS_A_RUN && lost <= 1, "{lost} of {} windows are lost", kept.len());
}

/// Two agents never write to one directory.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_second_agent_on_the_same_directory_refuses_to_start() {
    let _alone = alone();
    let storage = tempfile::tempdir().expect("a temporary directory");
    let queued = Queued::new("localhost:1", storage.path());
    let _first = queued.start();
    let second = Queued::new("localhost:1", storage.path());
    let ended = Daemon::start("the second agent", &mut second.setup.command()).wait();
    ended.assert_code(1);
    let path = storage.path().to_str().expect("a path of ours is text");
    let told = ended.log.iter().any(|line| line.contains(path) && line.contains("in use by another agent"));
    assert!(told, "{:#?}", ended.log);
}
