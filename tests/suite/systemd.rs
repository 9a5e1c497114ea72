//! Notifications for a service manager, over a real socket of its protocol.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::agent::Setup;
use tests::daemon::PATIENCE;
use tests::program::{self, Burner, Step};

use crate::alone;

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, dir }
    }

    /// Waits for a message with a line that starts with `start`, and returns the message.
    fn wait_for(&self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut message = [0; 4096];
            let length = self.socket.recv(&mut message).expect("a message in time");
            let message = String::from_utf8_lossy(message.get(..length).unwrap_or_default()).into_owned();
            if message.lines().any(|line| line.starts_with(start)) {
                return message;
            }
        }
        panic!("no {start:?} comes");
    }
}

/// Readiness, reloads, the watchdog and the end are notified as sd_notify(3) defines.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_service_manager_is_told_what_happens() {
    let _alone = alone();
    let manager = Manager::new();
    let setup =
        Setup::new().env("NOTIFY_SOCKET", manager.dir.path().join("notify")).env("WATCHDOG_USEC", "200000");
    let agent = setup.start();
    assert!(manager.wait_for("READY=1").contains("STATUS=sampling"));
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    agent.daemon().signal(Signal::HUP);
    let reloading = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.wait_for("READY=1");
    agent.daemon().signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    let _outcome = agent.stop_by(Signal::CONT);
}

/// Without a manager no notification is sent, and nothing fails.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn an_agent_whose_manager_is_gone_does_its_work() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("seen");
    program::compile(&path, "0123456789abcdef");
    let agent = Setup::new().samples_per_second(199).env("NOTIFY_SOCKET", dir.path().join("nobody")).start();
    assert_eq!(Burner::start(&path, &[Step::Cpu(Duration::from_millis(200))]).finish().len(), 1);
    let outcome = agent.stop();
    assert!(!outcome.file.requests.is_empty());
    assert!(
        outcome.log.iter().any(|line| line.contains("Cannot notify the service manager")),
        "{:#?}",
        outcome.log
    );
}
