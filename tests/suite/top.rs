//! `pipeline top`: attaches to the agent that runs, and shows who uses the CPU; strangers are refused.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::agent::{Agent, Setup};
use tests::daemon::{Daemon, PATIENCE};
use tests::program;
use tests::workspace;

use crate::alone;

/// An agent whose exporter `top` listens in the directory of the test.
fn start(rate: u32) -> (Agent, PathBuf) {
    let setup = Setup::new().samples_per_second(rate);
    let socket = setup.dir().join("run/top.sock");
    let agent = setup.exporter("top", json!({ "endpoint": socket })).start();
    (agent, socket)
}

fn top(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::pipeline());
    command.arg("top").arg("--connect").arg(socket).args(arguments);
    command
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The figures before a name in a table.
fn percent(table: &str, name: &str) -> f64 {
    let line = table.lines().find(|line| line.ends_with(name)).unwrap_or_else(|| panic!("{name} in {table}"));
    line.split_whitespace().next().and_then(|share| share.parse().ok()).expect("a share")
}

/// A burner whose name tries to steer the terminal: it runs for as long as it is let.
fn burner(dir: &Path) -> (Daemon, String) {
    let name = "burn\u{1b}[2J\u{202e}\nx";
    let path = dir.join(name);
    program::compile(&path, "0123456789abcdef");
    let daemon = Daemon::start("the burner", Command::new(&path).args(["cpu", "600"]));
    (daemon, r"burn\u{1b}[2J\u{202e}\nx".to_owned())
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn what_runs_is_in_the_tables_of_each_view_and_no_name_is_printed_raw() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().canonicalize().expect("it is there");
    let (burner, name) = burner(&dir);
    let (agent, socket) = start(199);
    let table = |arguments: &[&str]| {
        let text = printed(&top(&socket, arguments).output().expect("it starts"));
        assert!(!text.contains(|c| c != '\n' && configtypes::is_unseen(c)), "{text:?}");
        text
    };
    let executables = table(&["--once", "-d", "2"]);
    let share = percent(&executables, &name);
    // One thread, which others may keep from its CPU.
    assert!((5.0..=115.0).contains(&share), "{executables}");
    assert!(executables.starts_with("CPU ") && executables.contains("lost 0 "), "{executables}");
    let processes = table(&["--once", "-d", "1", "--view", "processes", "--filter", "burn"]);
    assert!(processes.contains(&format!("{} {name}", burner.pid())), "{processes}");
    let functions = table(&["--once", "-d", "1", "--view", "functions", "-n", "1000"]);
    assert!(functions.contains(&format!("({name})")), "{functions}");
    let stages = table(&["--once", "-d", "1", "--view", "stages"]);
    for part in ["receiver ebpf", "processor procinfo", "exporter top", "ebpf-reader"] {
        assert!(stages.contains(part), "{stages}");
    }
    let icicle = table(&["--once", "-d", "1", "--view", "icicle", "-n", "1000"]);
    assert!(icicle.contains(&name), "{icicle}");
    drop(burner);
    let outcome = agent.stop();
    assert!(!socket.exists(), "its socket goes with it");
    assert!(!outcome.file.requests.is_empty(), "others are not held up");
}

/// A table comes as often as is asked for, goes on with the agent that takes the place of one that was killed, and ends
/// with a signal.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn tables_go_on_with_the_next_agent() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let socket = dir.path().join("top.sock");
    let start = || Setup::new().exporter("top", json!({ "endpoint": socket })).start();
    let first = start();
    let watcher = Daemon::start("top", &mut top(&socket, &["-d", "1"]));
    let tables =
        |count| watcher.out.wait_for_nth("CPU %*  EXECUTABLE", count, PATIENCE).expect("tables come");
    tables(2);
    assert!(!first.end_by(Signal::KILL).status.success() && socket.exists(), "a socket is left behind");
    let before = watcher.out.so_far().iter().filter(|line| line.contains("EXECUTABLE")).count();
    let second = start();
    tables(before + 2);
    let _outcome = second.stop();
    watcher.signal(Signal::INT);
    watcher.wait().assert_code(0);
}

/// The socket is its owner's alone. Should somebody change that, the agent asks who it is all the same.
#[test]
#[ignore = "needs root: loads BPF programs, and becomes another user"]
fn a_stranger_is_refused_by_the_mode_and_by_the_agent() {
    let _alone = alone();
    let (agent, socket) = start(97);
    let mode = |path: &Path| fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode(&socket), mode(socket.parent().expect("a directory"))), (0o600, 0o755));
    fs::set_permissions(agent.setup().dir(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let stranger = |arguments: &[&str]| {
        let top = top(&socket, arguments);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(top.get_program()).args(top.get_args()).output().expect("setpriv starts")
    };
    for (socket_mode, reason) in
        [(0o600, "you may not attach"), (0o666, "user 65534 may not watch this agent")]
    {
        fs::set_permissions(&socket, fs::Permissions::from_mode(socket_mode)).expect("it is ours");
        let output = stranger(&["--once"]);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), log.lines().count()), (Some(1), 1), "{log}");
        assert!(log.contains(reason) && output.stdout.is_empty(), "{log}");
    }
    printed(&top(&socket, &["--once", "-d", "1"]).output().expect("it starts"));
    let _outcome = agent.stop();
}

/// Who is attached and does not read costs itself alone: others get each second, and profiles are written.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn who_does_not_read_holds_up_nobody() {
    let _alone = alone();
    let (agent, socket) = start(97);
    let silent: Vec<_> = (0..8).map(|_| UnixStream::connect(&socket).expect("it listens")).collect();
    let reader = UnixStream::connect(&socket).expect("it listens");
    reader.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("a line in time"));
    let parse = |line: String| -> Value { serde_json::from_str(&line).expect("JSON") };
    assert_eq!(parse(lines.next().expect("a greeting"))["hello"]["pid"], agent.pid());
    let numbers: Vec<_> =
        lines.by_ref().take(4).map(|line| parse(line)["report"]["second"]["number"].as_u64()).collect();
    let first = numbers[0].expect("a number");
    assert_eq!(numbers, (first..first + 4).map(Some).collect::<Vec<_>>(), "every second");
    let mut some = [0; 16];
    (&silent[0]).read_exact(&mut some).expect("it is still there");
    let outcome = agent.stop();
    assert!(!outcome.file.requests.is_empty());
}

/// A socket that is named is not replaced by an agent of its own; a file that is no socket is refused.
#[test]
fn without_an_agent_at_the_socket_it_says_so() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("file"), "x").expect("it is ours");
    for name in ["none.sock", "file"] {
        let output = top(&dir.path().join(name), &["--once"]).output().expect("it starts");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && log.contains("no agent listens there"), "{log}");
    }
}
