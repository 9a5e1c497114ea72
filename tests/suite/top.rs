//! `pipeline top` attaches to the agent that runs, and shows the users of the CPU; strangers are refused.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::agent::{Agent, Setup};
use tests::daemon::{Daemon, PATIENCE};
use tests::program;
use tests::wait;
use tests::workspace;

use crate::alone;

/// An agent whose exporter `top` listens in the test's directory.
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

/// The first figure in a table's line that ends with a name.
fn percent(table: &str, name: &str) -> f64 {
    let line = table.lines().find(|line| line.ends_with(name)).unwrap_or_else(|| panic!("{name} in {table}"));
    line.split_whitespace().next().and_then(|share| share.parse().ok()).expect("a share")
}

/// A burner whose name tries to steer the terminal; it runs until it is dropped.
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
        assert!(!text.contains(|c| c != '\n' && textline::is_unseen(c)), "{text:?}");
        text
    };
    let executables = table(&["--once", "-d", "2"]);
    let share = percent(&executables, &name);
    // The burner has one thread, which other processes may keep from its CPU.
    assert!((0.5..=115.0).contains(&share), "{executables}");
    // A machine that stands still for a moment loses some samples.
    assert!(executables.starts_with("CPU ") && executables.contains("; lost "), "{executables}");
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

/// A table is printed at the interval that the arguments name, goes on with the agent that replaces a killed one, and
/// ends with a signal.
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

/// The socket is its owner's alone. Should its mode be changed, the agent still checks the peer's user.
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

/// Members of a group that the configuration names may attach, and other users may not.
#[test]
#[ignore = "needs root: loads BPF programs, and becomes another user"]
fn the_members_of_a_group_may_attach() {
    let _alone = alone();
    let setup = Setup::new();
    let socket = setup.dir().join("run/top.sock");
    let agent = setup.exporter("top", json!({ "endpoint": socket, "group": "54321" })).start();
    fs::set_permissions(agent.setup().dir(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    for (groups, is_let_in) in [(["--groups", "7,54321"], true), (["--groups", "7"], false)] {
        let top = top(&socket, &["--once", "-d", "1"]);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534"]).args(groups).arg(top.get_program());
        let output = command.args(top.get_args()).output().expect("setpriv starts");
        assert_eq!(output.status.success(), is_let_in, "{groups:?}: {output:?}");
    }
    let _outcome = agent.stop();
}

/// A watcher that does not read harms only itself: others get each second, and profiles are written.
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

/// On a terminal the screen is taken and restored, keys have their effect, no name steers it, and `NO_COLOR` is
/// respected.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn on_a_terminal_keys_are_obeyed_and_it_is_left_as_it_was() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().canonicalize().expect("it is there");
    let (burner, name) = burner(&dir);
    let (agent, socket) = start(199);
    for has_colors in [true, false] {
        let top = top(&socket, &[]);
        let words = [top.get_program()].into_iter().chain(top.get_args()).map(|word| word.to_string_lossy());
        let line = words.collect::<Vec<_>>().join(" ");
        // script(1) makes a terminal of the program's own.
        let mut command = Command::new("script");
        command.args(["-qec", &format!("stty rows 40 cols 150; exec {line}"), "/dev/null"]);
        command.env("TERM", "xterm-256color").stdin(Stdio::piped());
        if has_colors {
            command.env_remove("NO_COLOR")
        } else {
            command.env("NO_COLOR", "1")
        };
        let mut terminal = Terminal::start(&mut command);
        terminal.wait_for(&[&name]);
        // Single words are expected: blanks that are there already are not written again. Each cover is left by one
        // key.
        for (keys, part) in
            [("3", "PROCESS"), ("5", "THREADS"), ("l", "REASON"), ("x?", "freeze"), ("x2", "FUNCTION")]
        {
            terminal.press(keys);
            terminal.wait_for(&[part]);
        }
        terminal.press("q");
        let screen = terminal.end();
        assert!(
            screen.contains("\u{1b}[?1049h") && screen.contains("\u{1b}[?1049l"),
            "the screen before is there again"
        );
        assert!(!screen.contains('\u{202e}') && !screen.contains("burn\u{1b}"), "a name steers it");
        assert_eq!(screen.contains("\u{1b}[38;5;"), has_colors);
    }
    drop(burner);
    let _outcome = agent.stop();
}

/// A program with a terminal of its own, and the bytes that it has written to the terminal.
struct Terminal {
    child: Child,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("script(1) starts");
        let (written, mut out) = (Arc::<Mutex<Vec<u8>>>::default(), child.stdout.take().expect("a pipe"));
        let shared = Arc::clone(&written);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut piece) {
                shared.lock().expect("nobody panics with it").extend(piece.iter().take(length));
            }
        });
        Self { child, written }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().expect("nobody panics with it")).into_owned()
    }

    /// Waits until the program has written all of `parts`.
    fn wait_for(&self, parts: &[&str]) {
        wait::until(
            "a part of the screen",
            || self.text(),
            |text| parts.iter().all(|part| text.contains(part)),
        );
    }

    fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().expect("a pipe").write_all(keys.as_bytes()).expect("it reads keys");
    }

    /// Waits for the program's end; returns all that it has written.
    fn end(mut self) -> String {
        let ended = wait::until("the end", || self.child.try_wait().expect("a child"), Option::is_some);
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {:?}", self.text());
        wait::until("the last words", || self.text(), |text| text.contains("\u{1b}[?1049l"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails if the program has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// `top` in a mount namespace with an empty /run, where no agent has its socket, whatever agents this machine runs.
fn top_alone(arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg("mount -t tmpfs none /run && exec \"$0\" top \"$@\"").arg(workspace::pipeline());
    command.args(arguments);
    command
}

/// Without an agent `top` samples by itself: a running program is in its tables, as with an agent that it attaches to,
/// and a signal or a key ends it.
#[test]
#[ignore = "needs root: loads BPF programs, and makes a mount namespace"]
fn without_an_agent_it_samples_by_itself() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (_burner, name) = burner(&dir.path().canonicalize().expect("it is there"));
    let once = ["--once", "-d", "2", "-F", "199", "-n", "1000"];
    let table = printed(&top_alone(&once).output().expect("unshare starts"));
    // The burner has one thread, which other processes may keep from its CPU.
    assert!((0.5..=115.0).contains(&percent(&table, &name)), "{table}");
    assert!(table.starts_with("CPU ") && table.contains("; lost "), "{table}");
    let stages = printed(&top_alone(&["--once", "-d", "1", "--view", "stages"]).output().expect("it starts"));
    assert!(stages.contains("receiver ebpf") && stages.contains("ebpf-reader"), "{stages}");

    let goes_on = Daemon::start("top", &mut top_alone(&["-d", "1"]));
    goes_on.out.wait_for_nth("EXECUTABLE", 3, PATIENCE).expect("tables come");
    goes_on.signal(Signal::INT);
    goes_on.wait().assert_code(0);

    let mut command = Command::new("script");
    let alone = top_alone(&[]);
    let words = [alone.get_program()].into_iter().chain(alone.get_args()).map(|word| word.to_string_lossy());
    let line: Vec<_> = words.map(|word| format!("'{word}'")).collect();
    command.args(["-qec", &format!("stty rows 24 cols 120; exec {}", line.join(" ")), "/dev/null"]);
    let mut terminal = Terminal::start(command.env("TERM", "xterm-256color").stdin(Stdio::piped()));
    terminal.wait_for(&[&name, "own agent"]);
    terminal.press("3");
    terminal.wait_for(&["PROCESS"]);
    terminal.press("q");
    terminal.end();
}

/// A socket that is named is not replaced by an agent of `top`'s own; a file that is no socket is refused.
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
