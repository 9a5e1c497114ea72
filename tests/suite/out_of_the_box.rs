//! The repository's default configuration does what the README promises.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tests::daemon::Daemon;
use tests::otlp::OtlpFile;
use tests::program::{self, Burner, Step};
use tests::{due, http, validator, wait, workspace};

use crate::alone;

/// The default rate.
const RATE: u32 = 19;

/// The default configuration needs nothing else: the agent prints the executable that used the CPU, and writes valid
/// profiles to the directory that it runs in.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_default_configuration_names_what_uses_the_cpu() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().canonicalize().expect("it is there").join("hungry");
    program::compile(&path, "0123456789abcdef");
    // Only the ports and the socket differ: the default ones may be another agent's.
    let reader = serde_json::json!([{ "pull": { "exporter": { "prometheus": {
        "host": "localhost",
        "port": workspace::free_port(),
    } } } }]);
    let mut command = Command::new(workspace::pipeline());
    command.arg("--config").arg(workspace::file("../config/agent.yaml")).current_dir(dir.path());
    command.arg("--config").arg(format!("yaml:service::telemetry::metrics::readers: {reader}"));
    let socket = dir.path().join("top.sock");
    command.arg("--config").arg(format!("yaml:exporters::top::endpoint: {}", socket.display()));
    let page = workspace::free_port();
    command.arg("--set").arg(format!("exporters.flamegraph.endpoint=localhost:{page}"));
    let agent = Daemon::start("the agent", &mut command);
    agent.wait_for_log("Everything is ready.");
    let used = Burner::start(&path, &[Step::Cpu(Duration::from_secs(4))]).finish();
    let shown = || http::get(page, "/api/top?rows=executable").map(|answer| answer.body).unwrap_or_default();
    wait::until("the page to show it", shown, |body| body.contains("hungry"));
    agent.signal(Signal::INT);
    let ended = agent.wait();
    ended.assert_code(0);

    let file = OtlpFile::read(&dir.path().join("profiles.jsonl")).expect("profiles are in the file");
    validator::assert_valid(&file);
    let path = path.to_str().expect("a path of ours is text");
    let resources = file.resources().expect("every index is good");
    due::assert_samples(&resources, path, used.into_iter().sum(), RATE);
    assert!(ended.out.iter().any(|line| line.contains("hungry")), "no table names it: {:#?}", ended.out);
}
