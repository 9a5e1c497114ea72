//! Recordings in every format, each opened by the format's own tool: `tests/reader/formats.py`.
//!
//! A tool that is not installed is skipped with a line in the output; `scripts/setup.sh test` installs those that it
//! can.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde::Deserialize;
use tests::daemon::{Daemon, PATIENCE};
use tests::program;
use tests::recording::lost;
use tests::workspace;

use crate::alone;

const RATE: u32 = 997;
/// Part by which samples may differ from CPU time; `tests/suite/record.rs` gives the reason.
const ALLOWED: f64 = 0.05;
/// Every format, by the names of its files.
pub(crate) const NAMES: [&str; 8] =
    ["a.pb.gz", "a.folded", "a.svg", "a.speedscope.json", "a.json", "a.jsonl", "a.otlp", "a.html"];

/// A Python command with the paths of the independent readers in its environment.
fn python() -> Command {
    let mut command = Command::new(workspace::python());
    let tools = [
        ("SPEEDSCOPE", "../speedscope/dist/release/index.html"),
        ("FIREFOX_PROFILER", "../firefox-profiler/dist/profiler-cli.js"),
    ];
    for (variable, file) in tools {
        let file = workspace::output().join(file);
        if file.exists() {
            command.env(variable, file);
        }
    }
    command
}

/// The figures that a file's own tool finds in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opened {
    /// Number of samples; `None` if the tool is not installed.
    pub(crate) samples: Option<u64>,
    /// Markers by name.
    markers: BTreeMap<String, u64>,
    /// Lost records that markers have, by reason.
    lost: BTreeMap<String, u64>,
}

/// Opens each file of a directory with its own tool.
pub(crate) fn opened(dir: &Path, names: &[&str]) -> BTreeMap<String, Opened> {
    let mut command = python();
    command.arg(workspace::file("reader/formats.py")).args(names.iter().map(|name| dir.join(name)));
    let output = command.output().expect("python starts");
    print!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints what it has found")
}

/// Frames that do harm if a format's text is taken for another's, with names that no two of them share.
const HOSTILE: &str = "\
<script>alert(1)</script>;</script><img src=x onerror=alert(1)>;a\"b'c&d<e> 3
=cmd|' /C calc'!A0;]]>--><!-- ${x} `y`;\u{202e}gnp.exe\u{2066} 5
\u{1b}[31mred\u{7};nul\u{1}\u{7f}\u{85}\u{2028};\\x3b\\u{41}; 7
\u{ffff}\u{fffe}\u{fdd0}\u{10ffff};e\u{301};  9 11
";

/// Names that do harm stay names: every tool opens the file, and finds every sample.
#[test]
fn every_tool_opens_a_profile_with_names_that_do_harm() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = dir.path().join("hostile.folded");
    std::fs::write(&source, HOSTILE).expect("it is ours");
    for name in NAMES {
        let mut command = Command::new(workspace::pipeline());
        let output = command.arg("convert").arg(&source).arg(dir.path().join(name)).output();
        let output = output.expect("it starts");
        assert!(output.status.success(), "{name}: {output:?}");
    }
    for (name, found) in opened(dir.path(), &NAMES) {
        assert!(found.samples.is_none_or(|samples| samples == 26), "{name}: {found:?}");
    }
}

/// Each tool opens the file that `record` writes, and finds the command's CPU time; the Firefox Profiler's file has the
/// instants at which processes began, became another program, and ended.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn every_format_that_is_recorded_is_opened_by_its_own_tool() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let burn = dir.path().join("formats-burn");
    program::compile(&burn, "0123456789abcdef");
    // The script runs four programs of 0.4 s each.
    let script = "for i in 1 2 3; do $0 cpu 0.4; done; exec $0 cpu 0.4";
    let record = |name: &str| {
        let mut command = Command::new(workspace::pipeline());
        command.args(["record", "-F", &RATE.to_string(), "-o"]).arg(dir.path().join(name));
        let output = command.args(["--", "sh", "-c", script]).arg(&burn).output().expect("it starts");
        assert!(output.status.success(), "{name}: {output:?}");
        lost(&String::from_utf8_lossy(&output.stderr))
    };
    let lost = NAMES.map(|name| (name, record(name))).into_iter().collect::<BTreeMap<_, _>>();
    let files = opened(dir.path(), &NAMES);
    let expected = Duration::from_millis(1_600).as_secs_f64() * f64::from(RATE);
    for (name, found) in &files {
        // A shell that starts four programs uses some time, too, and more on a busy machine.
        let part = found.samples.map_or(expected, |samples| samples as f64) / expected;
        let lost = lost[name.as_str()];
        let least = 1.0 - ALLOWED - lost as f64 / expected;
        assert!(
            (least..1.0 + 3.0 * ALLOWED).contains(&part),
            "{name}: {found:?}, expected {expected}, {lost} lost"
        );
    }
    let markers = &files["a.json"].markers;
    for (kind, least) in [("fork", 3), ("exec", 5), ("exit", 4)] {
        assert!(markers.get(kind).is_some_and(|count| *count >= least), "{kind}: {markers:?}");
    }
}

/// What is lost while the agent is stopped for so long that its ring overflows is in the Firefox Profiler's file, as
/// markers whose sum is that of the summary, beside those of processes that began, became another program and ended.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn losses_are_markers_beside_those_of_processes() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let burn = dir.path().join("markers-burn");
    program::compile(&burn, "0123456789abcdef");
    // The shell waits for a line, and then for two programs.
    let used = overflowing() / 2.0;
    let script = format!("echo waits; read line; $0 cpu {used} & $0 cpu {used} & wait; echo worked");
    let mut command = Command::new(workspace::pipeline());
    command.args(["record", "-F", &OVERFLOW_RATE.to_string(), "-o"]).arg(dir.path().join("a.json"));
    command.args(["--", "sh", "-c", &script]).arg(&burn).stdin(Stdio::piped());
    let mut recording = Daemon::start("record", &mut command);
    recording.out.wait_for("waits", PATIENCE).expect("the command runs");
    recording.signal(Signal::STOP);
    recording.stdin().expect("a pipe").write_all(b"go\n").expect("the shell reads");
    recording.out.wait_for("worked", 5 * PATIENCE).expect("the programs do their work");
    recording.signal(Signal::CONT);
    let ended = recording.wait();
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.log);

    let found = &opened(dir.path(), &["a.json"])["a.json"];
    let samples_lost = found.lost.iter().filter(|(reason, _)| reason.starts_with("sample_"));
    let samples_lost: u64 = samples_lost.map(|(_, count)| count).sum();
    assert!(found.lost.get("sample_ring_full").is_some_and(|count| *count > 0), "{found:?}");
    assert_eq!(samples_lost, lost(&ended.log.join("\n")), "{found:?}");
    for (kind, least) in [("fork", 2), ("exec", 3), ("exit", 3), ("loss", 1)] {
        assert!(found.markers.get(kind).is_some_and(|count| *count >= least), "{kind}: {found:?}");
    }
    // Nothing is lost silently: samples and losses are no fewer than the CPU time of both programs.
    let due = overflowing() * f64::from(OVERFLOW_RATE);
    let accounted = (found.samples.expect("the file can be read") + samples_lost) as f64;
    assert!(accounted >= due * (1.0 - ALLOWED), "{accounted} of {due}: {found:?}");
}

/// Rate at which a ring overflows soon, in samples a second.
const OVERFLOW_RATE: u32 = 9_973;

/// CPU time in seconds whose samples are half again as many as the sampler's ring holds: it has one MiB for each CPU, 4
/// to 128, a power of two.
fn overflowing() -> f64 {
    /// No sample takes fewer bytes: its header, the ring's, an address and a mapping.
    const LEAST_SAMPLE: usize = 128;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let ring = cpus.next_power_of_two().clamp(4, 128) << 20;
    1.5 * (ring / LEAST_SAMPLE) as f64 / f64::from(OVERFLOW_RATE)
}

/// A C compiler, `cargo build`, Python, a shell pipeline and a Go program with threads: the exit code is kept, samples
/// stand for the CPU time of the tree by wait4(2), and every format's own tool finds as many.
#[test]
#[ignore = "needs root: loads BPF programs; a minute"]
fn real_commands_are_recorded_with_their_cpu_time() {
    let _alone = alone();
    let mut command = python();
    command.arg(workspace::file("workloads/record.py")).arg("--binary").arg(workspace::pipeline());
    let output = command.output().expect("python starts");
    print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "see above");
    let rows = String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains("| ok")).count();
    assert_eq!(rows, 5);
}
