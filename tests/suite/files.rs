//! The file exporter's formats have the same contents as its OTLP/JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::agent::Setup;
use tests::program::{self, Burner, Step};

use crate::alone;

/// The number of samples that `go tool pprof` counts in all of `files` together, and its listing.
fn go_tool_pprof(files: &[PathBuf]) -> (u64, String) {
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-symbolize=none", "-top", "-nodecount=1000000", "-sample_index=samples"]);
    let output = command.args(files).output().expect("go runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("pprof prints text");
    // Showing nodes accounting for 12, 100% of 12 total
    let total = text.lines().find_map(|line| line.strip_suffix(" total")?.rsplit_once(" of "));
    let (_, total) = total.unwrap_or_else(|| panic!("no total in {text}"));
    (total.parse().unwrap_or_else(|_| panic!("{total:?} in {text}")), text)
}

/// Files in a directory, sorted.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    files
}

/// JSON, pprof and folded stacks of one run count the same samples, in windows of their own.
#[test]
#[ignore = "needs root: loads BPF programs, and Go, see tests/setup.sh"]
fn every_format_counts_the_same_samples() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(97);
    let dir = setup.dir().to_owned();
    let (pprof, folded) = (dir.join("pprof"), dir.join("stacks.folded"));
    let setup = setup
        .exporter(
            "file/pprof",
            json!({ "path": pprof.join("cpu.pb.gz"), "format": "pprof", "window": "2s", "create_directory": true }),
        )
        .exporter("file/folded", json!({ "path": folded, "format": "folded", "window": "500ms" }));
    let path = dir.canonicalize().expect("it is there").join("hungry");
    program::compile(&path, "0123456789abcdef");
    let agent = setup.start();
    let used = Burner::start(&path, &[Step::Cpu(Duration::from_secs(3))]).finish();
    assert!(!used.is_empty());
    let outcome = agent.stop();
    let summary = outcome.file.summary().expect("every index is good");
    assert!(summary.events > 0);

    let text = fs::read_to_string(&folded).expect("folded stacks are in the file");
    let counts = text.lines().map(|line| {
        let (stack, count) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no count in {line:?}"));
        (stack, count.parse::<u64>().unwrap_or_else(|_| panic!("no count in {line:?}")))
    });
    let counts: Vec<_> = counts.collect();
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), summary.events);
    let hungry = counts.iter().filter(|(stack, _)| stack.starts_with("hungry;")).map(|(_, count)| count);
    assert_eq!(Some(&hungry.sum()), summary.threads.get("hungry"));

    let profiles = files(&pprof);
    assert!(profiles.len() > 1, "a file for each window, but {profiles:?}");
    let (total, listing) = go_tool_pprof(&profiles);
    assert_eq!(total, summary.events, "{listing}");
    assert!(listing.contains("Type: samples\n"), "{listing}");
}
