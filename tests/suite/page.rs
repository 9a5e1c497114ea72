//! The page in a real browser, in which `tests/browser/page.py` acts as a person would.
//!
//! The tests need Chromium, which `scripts/setup.sh test` installs where it can; without it they print a line and end.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tests::agent::Setup;
use tests::program::{self, Burner, Step};
use tests::workspace;

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
