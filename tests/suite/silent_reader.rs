//! Readers of the agent's output that stop reading.

use std::fs;
use std::io::{PipeReader, Write as _, pipe};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tests::agent::Setup;
use tests::metrics::Metrics;
use tests::otlp::OtlpFile;
use tests::{http, wait, workspace};

use crate::alone;

/// Bytes that a pipe holds by default.
const PIPE: usize = 64 << 10;

/// A pipe that has no room for a line, and whose reader does not read.
fn full() -> (PipeReader, Stdio) {
    let (reader, mut writer) = pipe().expect("there are pipes");
    writer.write_all(&vec![b'.'; PIPE - 16]).expect("that fits");
    (reader, writer.into())
}

/// Number of threads of a process that wait for room in a pipe.
fn waiting_for_room(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    let places = tasks.filter_map(|task| fs::read_to_string(task.path().join("wchan")).ok());
    places.filter(|place| place.contains("pipe_write")).count()
}

/// The agent, killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Mostly the agent has ended by itself.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Neither the log nor the tables on standard output are read: files are written, metrics and health are served, and
/// one signal ends the agent. Before, all of it stood still, and only SIGKILL ended it. The log's own tests show that
/// lines are dropped and counted once there are too many.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn output_that_nobody_reads_stops_nothing() {
    let _alone = alone();
    let [metrics, health] = [(); 2].map(|()| workspace::free_port());
    let setup = Setup::new()
        .samples_per_second(997)
        .metrics_port(metrics)
        .exporter("debug", json!({ "verbosity": "detailed", "window": "200ms" }))
        .with(json!({
            "extensions": { "health_check": { "endpoint": format!("127.0.0.1:{health}") } },
            "service": {
                "extensions": ["health_check"],
                "telemetry": { "logs": { "level": "debug", "sampling": { "enabled": false } } },
            },
        }));
    let file = setup.dir().join("profiles.jsonl");
    let ((_out, stdout), (_log, stderr)) = (full(), full());
    let mut command = setup.command();
    let mut agent = Killed(command.stdout(stdout).stderr(stderr).spawn().expect("the agent starts"));
    drop(command);
    let requests = || OtlpFile::read_so_far(&file).expect("profiles are in the file").requests.len();
    let waiting = || waiting_for_room(agent.0.id());
    wait::until("the log and a table to wait for room", waiting, |waiting| *waiting == 2);
    let before = requests();
    wait::until("more windows", requests, |requests| *requests > before + 3);
    assert_eq!(waiting(), 2, "they still wait");
    assert!(Metrics::scrape(metrics).is_ok());
    assert_eq!(http::get(health, "/").expect("it answers").status, 200);
    kill_process(Pid::from_child(&agent.0), Signal::TERM).expect("it runs");
    let ended = wait::until("its end", || agent.0.try_wait().ok().flatten(), Option::is_some);
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{:?}", fs::metadata(&file));
}
