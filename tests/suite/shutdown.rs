//! The agent delivers all its samples, by whichever signal it is asked to end.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tests::agent::{Agent, Outcome, Setup};
use tests::due;
use tests::otlp::Resource;
use tests::program::{self, Burner, Step};
use tests::{validator, wait, workspace};

use crate::alone;

/// Longer than any test: such a window is only delivered by a flush.
const WINDOW: Duration = Duration::from_secs(600);

/// SIGINT delivers the open window, and the exit code is 0.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn sigint_flushes_the_open_window() {
    assert_flushed(Setup::new(), Signal::INT);
}

/// SIGTERM delivers the open window, and the exit code is 0.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn sigterm_flushes_the_open_window() {
    assert_flushed(Setup::new(), Signal::TERM);
}

/// An endpoint that no server listens on is logged, and keeps nothing else from being done.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn an_unreachable_endpoint_is_told_of_and_stops_nothing() {
    let endpoint = format!("localhost:{}", workspace::free_port());
    // The exporter retries for as long as it may.
    let setup = Setup::new().otlp(&endpoint).with(json!({ "service": { "shutdown_timeout": "10s" } }));
    let outcome = assert_flushed(setup, Signal::INT);
    let told = outcome.log.iter().any(|line| line.contains("exporter=otlp") && line.contains("refused"));
    assert!(told, "{:#?}", outcome.log);
}

const RATE: u32 = 499;

fn assert_flushed(setup: Setup, signal: Signal) -> Outcome {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("seen");
    program::compile(&path, "0123456789abcdef");
    let agent = setup.samples_per_second(RATE).window(WINDOW).start();
    let used = Burner::start(&path, &[Step::Cpu(Duration::from_millis(500))]).finish();
    assert_eq!(agent.file_so_far().requests.len(), 0, "the window is open");
    let outcome = agent.stop_by(signal);
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    due::assert_samples(
        &resources,
        path.to_str().expect("a path of ours is text"),
        used.into_iter().sum(),
        RATE,
    );
    outcome
}

/// Under load, too, samples up to the signal are delivered, to the last one that is counted as accepted.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn sigterm_under_load_delivers_the_last_window() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("busy");
    program::compile(&path, "0123456789abcdef");
    let agent = Setup::new().samples_per_second(997).window(WINDOW).start();
    let mut burners: Vec<_> =
        (0..4).map(|_| Burner::start(&path, &[Step::Cpu(Duration::from_secs(600))])).collect();
    let accepted = || agent.metrics().count("otelcol_receiver_accepted_profile_samples", &[]);
    let accepted = wait::until("samples of the load", accepted, |accepted| *accepted > 1000);
    let outcome = agent.stop_by(Signal::TERM);
    burners.clear();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    let written: u64 = resources.iter().map(Resource::events).sum();
    assert!(written >= accepted, "{written} samples are written, {accepted} were accepted before the signal");
    for window in due::windows(&resources).values() {
        assert_eq!(window.found + window.lost, window.expected);
    }
}

/// An agent whose exporter waits for a server that never answers.
fn stalled(shutdown_timeout: &str) -> (Agent, TcpStream) {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let endpoint = silent.local_addr().expect("a listener has an address").to_string();
    let otlp =
        json!({ "endpoint": endpoint, "tls": { "insecure": true }, "window": "200ms", "timeout": "10m" });
    let setup = Setup::new().samples_per_second(RATE).exporter("otlp_grpc", otlp);
    let agent = setup.with(json!({ "service": { "shutdown_timeout": shutdown_timeout } })).start();
    // Once the exporter has connected, it is delivering.
    silent.set_nonblocking(true).expect("a socket of ours");
    let connection = wait::until("the exporter to connect", || silent.accept().ok(), Option::is_some);
    let (connection, _from) = connection.expect("it has connected");
    (agent, connection)
}

/// A second SIGTERM ends the agent at once, even if an exporter is waiting.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_second_sigterm_exits_at_once() {
    let _alone = alone();
    let (agent, _silent) = stalled("10m");
    agent.daemon().signal(Signal::TERM);
    agent.daemon().wait_for_log("Starting shutdown...");
    // Signals that come close together are one request, so several are sent. The exporter would wait far longer.
    let asked_again = || {
        agent.daemon().signal(Signal::TERM);
        agent.daemon().log.so_far().iter().any(|line| line.contains("Second signal"))
    };
    wait::until("the second signal to be heard", asked_again, |heard| *heard);
    agent.end().assert_code(1);
}

/// An exporter that stalls delays the agent's end by no more than `shutdown_timeout`, and keeps no other from
/// finishing.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stalled_exporter_is_given_up_on_in_time() {
    let _alone = alone();
    // The other exporter has to encode, write and sync its window in that time.
    let (agent, _silent) = stalled("5s");
    let outcome = agent.stop_by(Signal::TERM);
    validator::assert_valid(&outcome.file);
    assert!(!outcome.file.requests.is_empty());
}

/// A pipe that is full, and whose reader stands still, keeps the agent neither from its start nor from its end: the
/// exporter finishes by itself, and is not given up on.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_full_pipe_in_the_place_of_the_file_blocks_neither_the_start_nor_sigterm() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo starts");
    assert!(made.success());
    let mut options = OpenOptions::new();
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    // Opened both ways, as a pipe without a reader could not be.
    let opened = options.read(true).write(true).custom_flags(nonblocking).open(&path);
    let mut reader = opened.expect("a pipe of ours");
    while reader.write(&[b'\n'; 4096]).map_err(|full| assert_eq!(full.kind(), ErrorKind::WouldBlock)).is_ok()
    {
    }
    let agent = Setup::new().file(&path).window(Duration::from_millis(200)).start();
    agent.daemon().wait_for_log("Cannot write profiles");
    // So many windows that a wait for each would take longer than the agent has for its end.
    let failed = || agent.metrics().count("otelcol_exporter_send_failed_profile_samples", &[]);
    let first = failed();
    wait::until("more windows to fail", failed, |failed| *failed > first);
    let ended = agent.end_by(Signal::TERM);
    ended.assert_code(0);
    let given_up: Vec<_> = ended.log.iter().filter(|line| line.contains("did not finish")).collect();
    assert!(given_up.is_empty(), "{given_up:?}");
}

/// SIGUSR1 delivers the open window, and the agent goes on.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn sigusr1_delivers_the_open_window_at_once() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("seen");
    program::compile(&path, "0123456789abcdef");
    let agent = Setup::new().samples_per_second(RATE).window(WINDOW).start();
    assert_eq!(Burner::start(&path, &[Step::Cpu(Duration::from_millis(300))]).finish().len(), 1);
    assert_eq!(agent.file_so_far().requests.len(), 0, "the window is open");
    agent.daemon().signal(Signal::USR1);
    let flushed = wait::until("the window", || agent.file_so_far(), |file| !file.requests.is_empty());
    let flushed = flushed.resources().expect("every index is good");
    let path = path.to_str().expect("a path of ours is text");
    assert!(
        flushed.iter().any(|resource| resource.text("process.executable.path") == path),
        "{path} is missing"
    );
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    for window in due::windows(&outcome.file.resources().expect("every index is good")).values() {
        assert_eq!(window.found + window.lost, window.expected);
    }
}
