//! Machines that the agent refuses to run on: it prints one line with the remedy, and changes nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A configuration with these profiles, in that folder.
fn configuration(folder: &Path, profiles: &Path) -> PathBuf {
    let config = folder.join("config.yaml");
    let text = format!(
        "receivers: {{ ebpf: {{}} }}\nprocessors: {{ procinfo: {{}} }}\nexporters: {{ file: {{ path: {} }} }}\n\
         service: {{ telemetry: {{ metrics: {{ level: none }} }}, pipelines: {{ profiles: {{ receivers: [ebpf], processors: [procinfo], exporters: [file] }} }} }}\n",
        profiles.display()
    );
    fs::write(&config, text).unwrap();
    config
}

/// A command of the agent's binary, `$0`, in a shell that has changed its limits.
fn limited(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script, env!("CARGO_BIN_EXE_pipeline")]);
    command
}

/// Starts the agent after `prepare` has changed the machine in its namespace. Returns standard error; asserts that the
/// start was refused, and the last run's file left as it was.
fn refused(prepare: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("profiles.jsonl");
    fs::write(&profiles, "the last run's\n").unwrap();
    let config = configuration(folder.path(), &profiles);
    let script = format!("{prepare} && exec \"$0\" --config \"$1\"");
    let agent = env!("CARGO_BIN_EXE_pipeline");
    let mut command = Command::new("unshare");
    let output = command.args(["--mount", "sh", "-ec", &script, agent]).arg(&config).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{prepare}: {text}");
    assert_eq!(fs::read_to_string(&profiles).unwrap(), "the last run's\n", "{prepare}: {text}");
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("Error: ")).collect();
    assert_eq!(errors.len(), 1, "{prepare}: {text}");
    errors[0].to_owned()
}

#[test]
#[ignore = "needs root: makes mount namespaces"]
fn a_machine_that_lacks_something_is_told_in_one_line_before_anything_is_touched() {
    for (prepare, expected) in [
        ("mount -t tmpfs none /proc", "/proc is not there: mount it"),
        ("mount -t tmpfs none /sys/kernel/btf", "CONFIG_DEBUG_INFO_BTF=y"),
        (
            "mount -t tmpfs none /sys/kernel/btf && printf '\\0mm_rb\\0' > /sys/kernel/btf/vmlinux",
            "is too old: the ebpf receiver needs 6.1 or newer",
        ),
        (
            "mount -t tmpfs none /sys/kernel/security && echo 'none integrity [confidentiality]' > /sys/kernel/security/lockdown",
            "lockdown=integrity",
        ),
        ("ulimit -n 100", "file descriptors are needed for"),
    ] {
        let error = refused(prepare);
        assert!(error.contains(expected), "{prepare}: {error}");
    }
}

/// With too few descriptors `doctor` and `validate --environment` fail where the start does, and name the same number.
#[test]
#[ignore = "needs root: starts the agent"]
fn who_looks_before_the_start_is_told_of_descriptors_as_the_start_is() {
    let error = refused("ulimit -n 100");
    let (before, cpus) = error.split_once(" file descriptors are needed for ").unwrap();
    let number = before.rsplit(' ').next().unwrap();
    let cpus = cpus.split_once(", and 100 allowed").unwrap().0;
    let expected = format!("{number} are needed for {cpus}, and 100 allowed");
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), &folder.path().join("profiles.jsonl"));
    for arguments in ["doctor", "validate --environment --config \"$1\""] {
        let script = format!("ulimit -n 100 && exec \"$0\" {arguments}");
        let output = limited(&script).arg(&config).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {output:?}");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(&expected), "{arguments}: {expected:?} is not in {text}");
    }
}

/// A low soft limit is for programs that cannot have many descriptors: the agent raises its own to the hard one.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_low_soft_limit_of_descriptors_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), &folder.path().join("profiles.jsonl"));
    let validate = "ulimit -Sn 100 && exec \"$0\" validate --environment --config \"$1\"";
    let output = limited(validate).arg(&config).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains("and 100 allowed"), "{text}");

    let mut command = limited("ulimit -Sn 100 && exec \"$0\" --config \"$1\"");
    let mut agent = command.arg(&config).stderr(Stdio::piped()).spawn().unwrap();
    let log: Vec<_> = BufReader::new(agent.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .scan(false, |is_ready, line| {
            if line.contains("Everything is ready.") && !std::mem::replace(is_ready, true) {
                let limits = fs::read_to_string(format!("/proc/{}/limits", agent.id())).unwrap();
                let limits = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
                let [soft, hard, ..] = limits.split_whitespace().collect::<Vec<_>>()[..] else {
                    panic!("{limits}")
                };
                assert_eq!(soft, hard);
                kill_process(Pid::from_child(&agent), Signal::TERM).unwrap();
            }
            Some(line)
        })
        .collect();
    assert_eq!(agent.wait().unwrap().code(), Some(0), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("Everything is ready.")), "{log:#?}");
}
