//! `pipeline record` keeps a command's exit code and CPU time, whatever its processes do.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::group::Group;
use tests::program::{self, Burner, Step};
use tests::recording::lost;
use tests::{wait, workspace};

use crate::alone;

const RATE: u32 = 997;
/// Part by which samples may differ from CPU time. The sampler's error is at most about half a sample for each time
/// that a process gets a CPU, with either sign: of 3,000 samples in slices of 3 ms that is 0.6 % for one standard
/// deviation.
const ALLOWED: f64 = 0.05;

/// A recording into a directory of its own.
struct Recorder {
    dir: TempDir,
}

impl Recorder {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Commands also run as other users, who must be able to read the directory.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self { dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("profile.folded")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(workspace::pipeline());
        command.arg("record").arg("-o").arg(self.file()).args(["-F", &RATE.to_string()]).args(arguments);
        command.env_remove("SUDO_UID").env_remove("SUDO_GID");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the agent starts")
    }

    /// Number of samples of threads of this name; of all threads if the name is empty.
    fn samples(&self, thread: &str) -> u64 {
        let text = fs::read_to_string(self.file()).expect("a recording was written");
        let lines = text.lines().filter(|line| thread.is_empty() || line.starts_with(&format!("{thread};")));
        lines.map(|line| line.rsplit_once(' ').expect("a count").1.parse::<u64>().expect("a number")).sum()
    }
}

/// Compiles the CPU burner to `dir`, under a name that no other program has.
fn burner(dir: &Path) -> PathBuf {
    let path = dir.join("recorded-burn");
    program::compile(&path, "0123456789abcdef");
    path
}

fn assert_near(samples: u64, cpu: Duration, lost: u64) {
    let expected = cpu.as_secs_f64() * f64::from(RATE);
    let (least, most) = (expected * (1.0 - ALLOWED) - lost as f64, expected * (1.0 + ALLOWED));
    let found = samples as f64;
    assert!((least..=most).contains(&found), "{samples} samples, {expected:.0} expected, {lost} lost");
}

/// Children, grandchildren whose parents have ended, and processes that become another user are all part of the
/// recording; other processes are not.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_samples_are_the_cpu_time_of_the_whole_tree() {
    let _alone = alone();
    let recorder = Recorder::new();
    let burn = burner(recorder.dir.path());
    let other = burner(&recorder.dir.path().join("other"));
    let stranger =
        thread::spawn(move || Burner::start(&other, &[Step::Cpu(Duration::from_secs(2))]).finish());
    // Another process adopts the double fork, and the command only waits for its line.
    let script = "
        $0 cpu 0.7
        (setsid sh -c '(\"$0\" cpu 0.8; echo done) &' $0 &) | grep -c done
        setpriv --reuid 65534 --regid 65534 --clear-groups $0 cpu 0.5
        for i in 1 2 3 4 5 6 7 8 9 10; do $0 cpu 0.1; done
        exit 3";
    let output = recorder.run(&["--", "sh", "-c", script, burn.to_str().expect("UTF-8")]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{log}");
    let used = String::from_utf8_lossy(&output.stdout);
    let used = used.lines().filter_map(|line| line.strip_prefix("used "));
    let used: Vec<u64> = used.map(|nanos| nanos.parse().expect("nanoseconds")).collect();
    // The line of the double fork goes to grep.
    assert_eq!(used.len(), 12, "{log}");
    let cpu = Duration::from_nanos(used.iter().sum()) + Duration::from_millis(800);
    assert_near(recorder.samples("recorded-burn"), cpu, lost(&log));
    assert_eq!(stranger.join().expect("it burns").len(), 1);
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_exit_code_is_the_commands_and_the_file_the_users() {
    let _alone = alone();
    let recorder = Recorder::new();
    for (arguments, code) in [
        (&["--", "true"][..], 0),
        (&["--", "sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["--", "no-such-command"], 127),
        (&["--", "/etc/passwd"], 126),
        (&["-d", "300ms", "--", "sleep", "60"], 0),
        (&["-a", "-d", "300ms"], 0),
        (&["-p", "4294967295"], 1),
        (&[], 1),
        (&["--format", "nonsense", "true"], 1),
    ] {
        let _none = fs::remove_file(recorder.file());
        let output = recorder.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let wrote = recorder.file().exists();
        assert_eq!(wrote, !matches!(code, 1 | 126 | 127), "{arguments:?}: {output:?}");
    }
    let mut command = recorder.command(&["--", "sh", "-c", "id -u; id -g; echo $HOME"]);
    let output =
        command.env("SUDO_UID", "65534").env("SUDO_GID", "65534").output().expect("the agent starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "65534\n65534\n/nonexistent\n", "{output:?}");
    let metadata = fs::metadata(recorder.file()).expect("a recording was written");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (65534, 65534, 0o600));
}

#[test]
#[ignore = "needs root: loads BPF programs, and becomes another user"]
fn who_may_not_record_is_told_what_to_do_and_nothing_runs() {
    let recorder = Recorder::new();
    let marker = recorder.dir.path().join("it-ran");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(workspace::pipeline());
    let output = command.args(["record", "--", "touch"]).arg(&marker).output().expect("setpriv starts");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), log.lines().count()), (Some(1), 1), "{log}");
    assert!(log.contains("run as root"), "{log}");
    assert!(!marker.exists());
}

/// Ctrl-C reaches the agent and the command, as a terminal sends it.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn ctrl_c_ends_a_recording_well() {
    let _alone = alone();
    let recorder = Recorder::new();
    let burn = burner(recorder.dir.path());
    let mut command = recorder.command(&["--", burn.to_str().expect("UTF-8"), "cpu", "1.5", "wait"]);
    let mut daemon = tests::daemon::Daemon::start("record", command.stdin(Stdio::piped()));
    let _open = daemon.stdin();
    daemon.out.wait_for("ready", tests::daemon::PATIENCE).expect("the command gets to its wait");
    daemon.signal(Signal::INT);
    let ended = daemon.wait();
    // The command has had no signal other than the agent's request to end.
    assert_eq!(ended.status.code(), Some(143), "{:?}", ended.log);
    assert_near(
        recorder.samples("recorded-burn"),
        Duration::from_millis(1_500),
        lost(&ended.log.join("\n")) + 15,
    );
}

/// Waits until a recording samples: the thread that reads samples is started after the timers that take them.
fn wait_until_it_samples(pid: u32) {
    let threads = || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.map(|name| name.trim_end().to_owned()).collect::<Vec<_>>()
    };
    wait::until("the agent to sample", threads, |threads| threads.iter().any(|name| name == "ebpf-reader"));
}

/// A recording of a running process has no samples of its children, and ends with the process.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_process_is_recorded_until_its_end() {
    let _alone = alone();
    let recorder = Recorder::new();
    let mut burner =
        Burner::start(&burner(recorder.dir.path()), &[Step::Wait, Step::Cpu(Duration::from_secs(1))]);
    let pid = burner.pid().to_string();
    let recording = recorder.command(&["-p", &pid]).spawn().expect("the agent starts");
    let agent = Pid::from_child(&recording);
    // CPU time that the process used before is not recorded.
    wait_until_it_samples(recording.id());
    burner.go();
    let used: Duration = burner.finish().iter().sum();
    let output = recording.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{agent:?}");
    assert_near(recorder.samples(""), used, RATE.into());
    assert!(kill_process(agent, Signal::INT).is_err(), "it is gone");
}

/// A process is recorded with the children that it forks from then on; and a control group is recorded.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn children_and_control_groups_are_recorded() {
    let _alone = alone();
    let recorder = Recorder::new();
    let burn = burner(recorder.dir.path());
    let script = format!("read line; {0} cpu 0.5; {0} cpu 0.5", burn.display());
    let group = Group::unlimited();
    let path = group.as_ref().map(|group| group.directory().to_str().expect("UTF-8").to_owned());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    let in_group = group.as_ref().map(|group| group.run(&shell));
    let outside = (shell, None);
    let inside = in_group.zip(path).map(|(command, path)| (command, Some(path)));
    if inside.is_none() {
        println!("SKIPPED: --cgroup: no control groups of version 2 here");
    }
    for (mut command, path) in [Some(outside), inside].into_iter().flatten() {
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("sh starts");
        let pid = shell.id().to_string();
        let arguments = match &path {
            Some(path) => vec!["--cgroup", path],
            None => vec!["-p", &pid, "--children"],
        };
        let mut command = recorder.command(&arguments);
        let recording = command.stderr(Stdio::piped()).spawn().expect("the agent starts");
        wait_until_it_samples(recording.id());
        drop(shell.stdin.take());
        assert!(shell.wait().expect("sh ends").success());
        // A group has no end; the processes have.
        let agent = Pid::from_child(&recording);
        if path.is_some() {
            kill_process(agent, Signal::INT).expect("it runs");
        }
        let output = recording.wait_with_output().expect("it ends");
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {log}");
        assert_near(recorder.samples("recorded-burn"), Duration::from_secs(1), lost(&log));
        fs::remove_file(recorder.file()).expect("it was written");
    }
}

/// By default the file is `profile.html`; the summary names the users of the CPU and the number of lost samples. The
/// command runs as the user that is named.
#[test]
#[ignore = "needs root: loads BPF programs, and becomes another user"]
fn the_page_is_written_and_a_summary_printed_if_nothing_is_said() {
    let _alone = alone();
    let recorder = Recorder::new();
    let burn = burner(recorder.dir.path());
    fs::set_permissions(&burn, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = Command::new(workspace::pipeline());
    command.current_dir(recorder.dir.path()).env_remove("SUDO_UID").env_remove("SUDO_GID");
    command.args(["record", "--user", "nobody", "--", "sh", "-c", "id -u; id -g; $0 cpu 0.5"]).arg(&burn);
    let output = command.output().expect("the agent starts");
    assert!(output.status.success(), "{output:?}");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.starts_with("65534\n65534\nused "), "{out}");
    let page = fs::read_to_string(recorder.dir.path().join("profile.html")).expect("the page is there");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("id=\"model\""), "{}", page.len());
    let summary = String::from_utf8_lossy(&output.stderr);
    for part in ["churn", "recorded-burn", "Samples lost on this machine: ", "Wrote profile.html"] {
        assert!(summary.contains(part), "{part:?} in {summary}");
    }
}

/// On a terminal one line shows the progress of the recording, and is gone at the end.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_terminal_shows_how_a_recording_goes() {
    let _alone = alone();
    let recorder = Recorder::new();
    let (pipeline, file) = (workspace::pipeline().display(), recorder.file());
    let line = format!("stty rows 24 cols 120; exec {pipeline} record -a -d 4 -o {}", file.display());
    // script(1) makes a terminal of the program's own.
    let output = Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
    let output = output.expect("script(1) starts");
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stdout);
    for part in
        [" s: ", " samples, ", " a second, ", " lost. Ctrl-C ends the recording.\u{1b}[K", "\r\u{1b}[K"]
    {
        assert!(shown.contains(part), "{part:?} in {shown:?}");
    }
    assert!(file.exists());
}
