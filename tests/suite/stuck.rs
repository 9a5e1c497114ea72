//! Files that the agent reads may be on a file system that never answers.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tests::agent::Setup;
use tests::fuse::Fuse;
use tests::http;
use tests::program::{self, Burner, Step};
use tests::{wait, workspace};

use crate::alone;

/// Longest time from SIGTERM to the agent's end. A reader that is asked answers within 5 s or is left; the rest is for
/// a machine with other work. The file system itself stays silent for longer than this.
const LONGEST_END: Duration = Duration::from_secs(20);

/// Ends all requests to the file system when it is dropped, before processes that wait for it are waited for.
struct Unblocks<'a>(&'a Fuse);

impl Drop for Unblocks<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A program runs from a file system whose server takes requests and answers none. The agent names the file system in
/// metric, health and log, still reads other files, and ends when it is asked to.
#[test]
#[ignore = "needs root: loads BPF programs, and mounts FUSE"]
fn a_file_system_that_does_not_answer_stops_nothing_but_itself() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().canonicalize().expect("it is there");
    let (stuck, point, other) = (dir.join("stuck"), dir.join("mounted"), dir.join("other"));
    program::compile(&stuck, "57c557c557c557c557c5");
    program::compile(&other, "07e507e507e507e507e5");
    fs::create_dir(&point).expect("a directory can be made");
    let fuse = Fuse::mount(&point, fs::read(&stuck).expect("it was compiled"));
    let cpu = |seconds| Step::Cpu(Duration::from_secs(seconds));
    // The program's pages are in memory before the server stops answering.
    let mut stuck = Burner::start(&fuse.file(), &[cpu(1), Step::Wait, cpu(600)]);
    let port = workspace::free_port();
    let health = json!({
        "extensions": { "health_check": { "endpoint": format!("localhost:{port}") } },
        // Longer than the test waits for the agent's end, which is therefore not brought about by this bound.
        "service": { "extensions": ["health_check"], "shutdown_timeout": "10m" },
    });
    fuse.silence();
    let agent = Setup::new().samples_per_second(97).with(health).start();
    let unblocks = Unblocks(&fuse);
    stuck.go();

    let log = agent.daemon().wait_for_log("fuse at");
    assert!(log.contains("A file system does not answer") && log.contains("mounted"), "{log}");
    wait::until(
        "the metric and the health check to name it",
        || {
            let skipped = agent.metrics().count("otelcol_processor_procinfo_skipped_file_systems", &[]);
            let body = http::get(port, "/").expect("it answers");
            // Another, of a disk that is busy, may not have answered for a while, either.
            body.status == 200 && body.body.contains("fuse at") && skipped >= 1
        },
        |is_so| *is_so,
    );
    let used = Burner::start(&other, &[cpu(2)]).finish();
    assert!(!used.is_empty());
    wait::until(
        "the other program's file to be read",
        || {
            let resources = agent.file_so_far().resources().expect("every index is good");
            let mut frames =
                resources.iter().flat_map(|resource| &resource.profiles).flat_map(|p| &p.samples);
            frames.any(|sample| {
                let leaf = sample.stack.first().and_then(|frame| frame.mapping.as_ref());
                leaf.is_some_and(|mapping| {
                    *mapping.filename == *other.to_string_lossy()
                        && mapping.attributes.contains_key("process.executable.build_id.htlhash")
                })
            })
        },
        |is_so| *is_so,
    );
    let asked = Instant::now();
    let ended = agent.end_by(Signal::TERM);
    let took = asked.elapsed();
    ended.assert_code(0);
    assert!(took < LONGEST_END, "the agent has ended {took:?} after SIGTERM");
    drop(unblocks);
    drop(stuck);
}
