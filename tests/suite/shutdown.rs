//! However it is told to end, the agent delivers what it has.

use std::time::Duration;

use rustix::process::Signal;
use tests::agent::{Outcome, Setup};
use tests::due;
use tests::program::{self, Burner, Step};
use tests::{validator, workspace};

use crate::alone;

/// Longer than any test: such a window is only ever delivered by a flush.
const WINDOW: Duration = Duration::from_secs(600);

/// SIGINT delivers the open window, and the exit code is 0.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn sigint_flushes_the_open_window() {
    assert_flushed(Setup::new(), Signal::INT);
}

/// SIGTERM does too.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn sigterm_flushes_the_open_window() {
    assert_flushed(Setup::new(), Signal::TERM);
}

/// An endpoint that nobody listens on is warned of and keeps nothing else from being done.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn an_unreachable_endpoint_only_warns() {
    let endpoint = format!("localhost:{}", workspace::free_port());
    let outcome = assert_flushed(Setup::new().otlp(&endpoint), Signal::INT);
    let warned = outcome.log.iter().any(|line| line.contains("WARN") && line.contains(&endpoint));
    assert!(warned, "{:#?}", outcome.log);
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
