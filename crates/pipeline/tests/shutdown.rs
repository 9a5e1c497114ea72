//! A shutdown that an exporter holds up.

#![expect(clippy::unwrap_used, reason = "a helper of tests may panic as they may")]

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The fan-out's bound on the end of the stream, and the time that the rest of a shutdown may take on a slow machine.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);
const LEEWAY: Duration = Duration::from_secs(20);
/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent whose only exporter waits ten minutes for a server that never answers.
struct Agent {
    child: Child,
    log: BufReader<ChildStderr>,
    /// The exporter's connection, on which the server sends nothing.
    silent: Option<TcpStream>,
}

impl Agent {
    fn start() -> Self {
        let server = TcpListener::bind("localhost:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let config = format!(
            "{{ receivers: {{ ebpf: {{ samples_per_second: 997 }} }}, processors: {{ procinfo: }}, \
             exporters: {{ otlp: {{ endpoint: 'localhost:{port}', timeout: 10m, window: 200ms, tls: {{ insecure: true }} }} }}, \
             service: {{ pipelines: {{ profiles: {{ receivers: [ebpf], processors: [procinfo], exporters: [otlp] }} }}, \
             telemetry: {{ metrics: {{ level: none }} }} }} }}"
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_pipeline"))
            .arg("--config")
            .arg(format!("yaml:{config}"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut agent = Self { child, log, silent: None };
        agent.wait_for("Everything is ready.");
        // The exporter connects when it delivers its first window.
        server.set_nonblocking(true).unwrap();
        let begun = Instant::now();
        while agent.silent.is_none() {
            agent.silent = server.accept().ok().map(|(connection, _from)| connection);
            assert!(begun.elapsed() < PATIENCE, "the exporter does not connect");
            thread::sleep(Duration::from_millis(20));
        }
        agent
    }

    fn wait_for(&mut self, text: &str) {
        let mut seen = String::new();
        while !seen.contains(text) {
            assert!(self.log.read_line(&mut seen).unwrap() > 0, "no {text:?} in {seen}");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Fails only if the agent has ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// After the first signal an exporter has the documented time, and the exit code is 0.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn one_signal_gives_an_exporter_its_time_and_no_more() {
    let mut agent = Agent::start();
    let asked = Instant::now();
    agent.signal(Signal::TERM);
    agent.wait_for("Starting shutdown...");
    agent.wait_for("Exporter did not finish. Dropping data.");
    agent.wait_for("Shutdown complete.");
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
    assert!((DRAIN_WITHIN..DRAIN_WITHIN + LEEWAY).contains(&asked.elapsed()), "{:?}", asked.elapsed());
}

/// A second signal ends the agent at once, with exit code 1. Signals that arrive together count as one, so the test
/// sends several.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_second_signal_forces_the_exit() {
    let mut agent = Agent::start();
    let status = loop {
        agent.signal(Signal::INT);
        if let Some(status) = agent.child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(1));
    agent.wait_for("Second signal");
}
