//! The page in a real browser, in which `tests/browser/page.py` acts as a person would; and its numbers, which are
//! those of every other output.
//!
//! The tests need Chromium, which `scripts/setup.sh test` installs where it can; without it they print a line and end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::agent::Setup;
use tests::metrics::Metrics;
use tests::program::{self, Burner, Step};
use tests::{due, http, wait, workspace};

use crate::alone;

/// Samples in each second of a CPU's time.
const RATE: u32 = 97;

/// Runs the browser's part of a test, unless there is no browser.
fn visit(arguments: &[&str]) {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let there = |name: &&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    if !browsers.iter().any(there) {
        println!("SKIPPED: no Chromium: scripts/setup.sh test installs it where there is a package of it");
        return;
    }
    let mut command = Command::new("python3");
    command.arg(workspace::file("browser/page.py")).args(arguments);
    for (variable, file) in [
        ("AXE", "axe/axe.min.js"),
        ("SPEEDSCOPE", "speedscope/dist/release/index.html"),
        ("FIREFOX_PROFILER", "firefox-profiler/dist/profiler-cli.js"),
    ] {
        let file = workspace::output().join("..").join(file);
        if file.exists() {
            command.env(variable, file);
        }
    }
    let output = command.output().expect("python3 starts");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The page of a file works: by `view`, as one file, and with two profiles compared.
#[test]
fn the_page_of_a_file_does_what_a_person_wants() {
    visit(&["file", workspace::pipeline().to_str().expect("UTF-8")]);
}

/// The live page works: a process that has ended is shown, and later samples move nothing that a user looks at.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_live_page_does_what_a_person_wants() {
    let _alone = alone();
    let (port, setup) = (workspace::free_port(), Setup::new().samples_per_second(RATE));
    let page = json!({ "endpoint": format!("localhost:{port}"), "retention": "5m" });
    let dir = setup.dir().canonicalize().expect("it is there");
    let (gone, burner) = (dir.join("gone-before"), dir.join("goes-on"));
    program::compile(&gone, "0123456789abcdef");
    program::compile(&burner, "0123456789abcdef");
    let agent = setup.exporter("flamegraph", page).start();
    let mut running = Command::new(&burner).args(["cpu", "300"]).spawn().expect("it starts");
    assert_eq!(Burner::start(&gone, &[Step::Cpu(Duration::from_secs(1))]).finish().len(), 1);
    let url = format!("http://localhost:{port}/");
    let visited = std::panic::catch_unwind(|| visit(&["live", &url, "gone-before", "goes-on"]));
    running.kill().expect("it is ours");
    running.wait().expect("it was killed");
    agent.daemon().signal(Signal::INT);
    if let Err(fault) = visited {
        std::panic::resume_unwind(fault);
    }
}

/// Number of samples of stacks that begin with `task`, in folded stacks.
fn folded(text: &str, task: &str) -> u64 {
    let counts = text.lines().filter(|line| line.starts_with(&format!("{task};")));
    counts.map(|line| line.rsplit_once(' ').expect("a count").1.parse::<u64>().expect("a number")).sum()
}

/// Number of samples of stacks that begin with `task` in files of any format, by way of `convert`.
fn converted(files: &[PathBuf], dir: &Path, task: &str) -> u64 {
    let out = dir.join("converted.folded");
    let one = |file: &PathBuf| {
        let mut command = Command::new(workspace::pipeline());
        let output = command.arg("convert").arg(file).arg(&out).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        folded(&fs::read_to_string(&out).expect("it was written"), task)
    };
    files.iter().map(one).sum()
}

/// Number of samples of threads of this name that `go tool pprof` finds when it fetches a profile from the page itself.
fn go_tool_pprof(port: u16, dir: &Path, task: &str) -> Option<u64> {
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-symbolize=none", "-top", "-nodefraction=0", "-sample_index=samples"]);
    command.arg(format!("-tagfocus=thread.name={task}"));
    command.arg(format!("http://localhost:{port}/debug/pprof/profile?seconds=600")).env("PPROF_TMPDIR", dir);
    let output = command.output().expect("Go is there: tests/setup.sh needs it, too");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = text.split_once("Showing nodes accounting for ")?;
    rest.split(',').next()?.parse().ok()
}

/// Number of samples in a Firefox profile.
fn firefox(text: &str) -> f64 {
    let profile: Value = serde_json::from_str(text).expect("JSON");
    let threads = profile.get("threads").and_then(Value::as_array).expect("threads");
    let of_thread = |thread: &Value| -> f64 {
        let weights = thread.pointer("/samples/weight").and_then(Value::as_array).expect("weights");
        weights.iter().map(|weight| weight.as_f64().expect("a number")).sum()
    };
    threads.iter().map(of_thread).sum()
}

/// The page, its downloads, files, and Prometheus have exactly the same samples of one program.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn every_output_has_the_same_samples() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(RATE);
    let (page, prometheus) = (workspace::free_port(), workspace::free_port());
    let dir = setup.dir().canonicalize().expect("it is there");
    let (pprof, stacks, path) = (dir.join("pprof"), dir.join("stacks.folded"), dir.join("counted-burn"));
    program::compile(&path, "0123456789abcdef");
    let setup = setup
        .exporter("flamegraph", json!({ "endpoint": format!("localhost:{page}") }))
        .exporter("prometheus", json!({ "endpoint": format!("localhost:{prometheus}") }))
        .exporter(
            "file/pprof",
            json!({ "path": pprof.join("cpu.pb.gz"), "format": "pprof", "window": "2s", "create_directory": true }),
        )
        .exporter("file/folded", json!({ "path": stacks, "format": "folded", "window": "500ms" }));
    let agent = setup.start();
    let used: Duration = Burner::start(&path, &[Step::Cpu(Duration::from_secs(3))]).finish().iter().sum();
    // The page shows time that is complete: once a later program is shown, all samples of this one are.
    let later = dir.join("ran-later");
    program::compile(&later, "0123456789abcdef");
    assert_eq!(Burner::start(&later, &[Step::Cpu(Duration::from_secs(1))]).finish().len(), 1);

    let exe = http::encoded(path.to_str().expect("UTF-8"));
    let ask = |path: &str| http::get(page, path).expect("the page answers");
    wait::until(
        "all to be there",
        || ask("/api/top?rows=executable").body,
        |body| body.contains("ran-later"),
    );
    let status: Value = serde_json::from_str(&ask(&format!("/api/status?exe={exe}")).body).expect("JSON");
    let total = status.pointer("/answer/total/samples").and_then(Value::as_u64).expect("a number");
    let download = |format: &str| {
        let file = dir.join(format!("page.{format}"));
        fs::write(
            &file,
            http::get_bytes(page, &format!("/api/download?format={format}&exe={exe}")).expect("it answers"),
        )
        .expect("it is written");
        file
    };
    assert_eq!(go_tool_pprof(page, &dir, "counted-burn"), Some(total), "what go tool pprof gets of the page");
    let read = |file: PathBuf| fs::read_to_string(file).expect("it is text");
    assert_eq!(folded(&read(download("folded")), "counted-burn"), total, "the page's folded stacks");
    assert_eq!(firefox(&read(download("firefox"))), total as f64, "the page's Firefox profile");
    assert_eq!(converted(&[download("pprof")], &dir, "counted-burn"), total, "the page's pprof");
    let labels = [("process_executable_path", path.to_str().expect("UTF-8"))];
    let scrape =
        || Metrics::scrape(prometheus).map_or(0, |metrics| metrics.count("profile_samples_total", &labels));
    wait::until("Prometheus to have as many", scrape, |count| *count == total);

    let outcome = agent.stop();
    let threads = outcome.file.summary().expect("every index is good").threads;
    assert_eq!(threads.get("counted-burn"), Some(&total), "OTLP");
    let otlp = dir.join("profiles.jsonl");
    assert_eq!(converted(&[otlp], &dir, "counted-burn"), total, "OTLP, as it is read here");
    assert_eq!(folded(&read(stacks), "counted-burn"), total, "folded stacks of the exporter");
    let files = fs::read_dir(&pprof).expect("it is there").map(|entry| entry.expect("it can be read").path());
    assert_eq!(converted(&files.collect::<Vec<_>>(), &dir, "counted-burn"), total, "pprof of the exporter");
    let resources = outcome.file.resources().expect("every index is good");
    due::assert_samples(&resources, path.to_str().expect("UTF-8"), used, RATE);
}
