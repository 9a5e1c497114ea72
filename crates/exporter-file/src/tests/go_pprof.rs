//! Go's own reader.

use std::process::Command;

use crate::format::pprof;
use crate::format::tests::request;
use crate::frame::gzip;

/// What `go tool pprof` says of the request with these arguments.
fn go_tool_pprof(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cpu.pb.gz");
    std::fs::write(&file, gzip(&pprof::encode(&request())).unwrap()).unwrap();
    let mut command = Command::new("go");
    // It must not look for the program.
    command.args(["tool", "pprof", "-symbolize=none"]).args(arguments).arg(&file);
    let output = command.env("PPROF_TMPDIR", directory.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs Go, see tests/setup.sh"]
fn go_tool_pprof_reads_what_was_sampled() {
    let top = go_tool_pprof(&["-top"]);
    assert!(
        top.contains("File: app\n") && top.contains("Build ID: abcd\n") && top.contains("Type: cpu\n"),
        "{top}"
    );
    // 3 + 2 + 1 samples of 50 ms.
    assert!(top.contains("Showing nodes accounting for 300ms, 100% of 300ms total"), "{top}");
    let counts = go_tool_pprof(&["-top", "-sample_index=samples"]);
    assert!(counts.contains("Showing nodes accounting for 6, 100% of 6 total"), "{counts}");
    let one = go_tool_pprof(&["-top", "-sample_index=samples", "-tagfocus=process.pid=2"]);
    assert!(one.contains("Showing nodes accounting for 3, 50.00% of 6 total"), "{one}");
}

#[test]
#[ignore = "needs Go, see tests/setup.sh"]
fn go_tool_pprof_sees_every_part() {
    let raw = go_tool_pprof(&["-raw"]);
    for part in [
        "PeriodType: cpu nanoseconds\nPeriod: 50000000\n",
        "samples/count cpu/nanoseconds[dflt]\n",
        "process.executable.path:[/opt/app]",
        "process.pid:[1]",
        "thread.id:[77]",
        "inlined;odd main.c:7",
        "/opt/libx.so 1234",
    ] {
        assert!(raw.contains(part), "{part:?} in {raw}");
    }
}
