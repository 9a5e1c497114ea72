//! An agent that cannot start prints the reason in one line, with the place and the remedy, and exits with 1.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tests::agent::Setup;
use tests::daemon::Daemon;
use tests::workspace;

use crate::alone;

/// Debian's user `nobody`.
const NOBODY: u32 = 65534;

/// The one line that an agent prints if it does not start.
fn refusal(command: &mut Command) -> String {
    let ended = Daemon::start("the agent", command).wait();
    ended.assert_code(1);
    let errors: Vec<_> = ended.log.iter().filter(|line| line.starts_with("Error: ")).cloned().collect();
    let [error] = errors.as_slice() else { panic!("one line says why: {:#?}", ended.log) };
    assert_eq!(ended.log.last(), Some(error), "nothing follows it");
    println!("{error}");
    assert!(error.matches("os error").count() <= 1, "{error:?} says it twice");
    error.clone()
}

#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

/// An agent without privileges is refused.
#[test]
#[ignore = "needs root: becomes nobody"]
fn not_root() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // The binary is copied to a place that `nobody` can read.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let (binary, config) = (dir.path().join("pipeline"), dir.path().join("agent.yaml"));
    fs::copy(workspace::pipeline(), &binary).unwrap();
    let setup = Setup::new().file(Path::new("/dev/null"));
    fs::write(&config, setup.config().to_string()).unwrap();
    let mut command = Command::new(binary);
    command.arg("--config").arg(config).uid(NOBODY).gid(NOBODY);
    assert_says(&refusal(&mut command), &["root"]);
}

/// An agent whose metrics port is taken is refused.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn metrics_port_taken() {
    let _alone = alone();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = refusal(&mut Setup::new().metrics_port(port).command());
    assert_says(&error, &["metrics", &port.to_string(), "in use"]);
}

/// An agent whose file cannot be written is refused.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn unwritable_file() {
    let _alone = alone();
    let path = Path::new("/nonexistent/profiles.jsonl");
    let error = refusal(&mut Setup::new().file(path).command());
    assert_says(&error, &["file", "/nonexistent/profiles.jsonl"]);
}

/// An agent whose configuration does not exist is refused.
#[test]
fn no_configuration() {
    let mut command = Command::new(workspace::pipeline());
    command.args(["--config", "/nonexistent/agent.yaml"]);
    assert_says(&refusal(&mut command), &["/nonexistent/agent.yaml"]);
}

/// An agent with a key, a component and a value that do not exist is refused, with all faults at once where that is
/// possible.
#[test]
fn faulty_configuration() {
    let config = Setup::new().config();
    for (pointer, value, words) in [
        ("/receivers/ebpf/samples_per_secnd", serde_json::json!(19), ["receivers", "samples_per_secnd"]),
        ("/receivers/ebpf/samples_per_second", serde_json::json!(0), ["samples_per_second", "10000"]),
        ("/service/pipelines/profiles/exporters", serde_json::json!(["fil"]), ["profiles", "fil"]),
        ("/exporters/fil", serde_json::json!({}), ["exporters", "fil"]),
    ] {
        let mut config = config.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[key] = value;
        let mut command = Command::new(workspace::pipeline());
        command.arg("--config").arg(format!("yaml:{config}"));
        assert_says(&refusal(&mut command), &words);
    }
}
