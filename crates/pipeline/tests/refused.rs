//! Machines that the agent refuses to run on: it prints one line with the remedy, and changes nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;

/// Starts the agent after `prepare` has changed the machine in its namespace. Returns standard error; asserts that the
/// start was refused, and the last run's file left as it was.
fn refused(prepare: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (profiles, config) = (folder.path().join("profiles.jsonl"), folder.path().join("config.yaml"));
    fs::write(&profiles, "the last run's\n").unwrap();
    let text = format!(
        "receivers: {{ ebpf: {{}} }}\nprocessors: {{ procinfo: {{}} }}\nexporters: {{ file: {{ path: {} }} }}\n\
         service: {{ telemetry: {{ metrics: {{ level: none }} }}, pipelines: {{ profiles: {{ receivers: [ebpf], processors: [procinfo], exporters: [file] }} }} }}\n",
        profiles.display()
    );
    fs::write(&config, text).unwrap();
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
