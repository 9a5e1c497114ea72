//! Names and lines of a stripped program whose debug file is nowhere on this machine, but on a debuginfod server.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tests::agent::Setup;
use tests::debuginfod::{Answer, DebuginfodServer};
use tests::{wait, workspace};

use crate::alone;
use crate::lines::{ENOUGH, RATE, leaves};

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The build ID of a file, as readelf prints it.
fn build_id(path: &Path) -> String {
    let notes = run(Command::new("readelf").arg("-n").arg(path));
    let id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "));
    id.expect("the linker has made one").to_owned()
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stripped_program_has_the_names_and_lines_of_the_debug_file_that_a_server_has() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (program, debug) = (dir.path().join("fetched-program"), dir.path().join("debug"));
    let source = workspace::file("fixtures/lines/inlined.c");
    run(Command::new("cc").args(["-O2", "-g", "-Wl,--build-id", "-o"]).arg(&program).arg(source));
    run(Command::new("objcopy").arg("--only-keep-debug").arg(&program).arg(&debug));
    run(Command::new("strip").arg(&program));
    let (server, id, cache) = (DebuginfodServer::start(), build_id(&program), dir.path().join("cache"));
    server.answer(&id, Answer::File(fs::read(&debug).expect("objcopy has made it")));
    fs::remove_file(debug).expect("it is there");

    let pipelines = json!({ "profiles": { "processors": ["procinfo", "symbolizer"] } });
    let debuginfod = json!({ "cache_directory": cache });
    let symbolizer = json!({ "timeout": "10s", "lines": true, "debuginfod": debuginfod });
    let agent = Setup::new()
        .samples_per_second(RATE)
        .env("DEBUGINFOD_URLS", server.url())
        .with(json!({ "processors": { "symbolizer": symbolizer }, "service": { "pipelines": pipelines } }))
        .start();
    let look = || {
        run(&mut Command::new(&program));
        let found = leaves(&agent.file_so_far(), "fetched-program");
        found.into_iter().filter(|leaf| leaf.functions.len() > 1).count()
    };
    wait::until("frames of inlined functions", look, |inlined| *inlined >= ENOUGH);
    let metrics = agent.metrics();
    let count = |name: &str| metrics.count(&format!("otelcol_processor_symbolizer_debuginfod_{name}"), &[]);
    assert_eq!(count("fetched_total"), 1);
    let whole = fs::metadata(cache.join(format!("{id}.debug"))).expect("it has been fetched").len();
    assert!(count("bytes_total") >= whole && count("cache_bytes") == whole, "{whole}");

    let file = agent.stop().file;
    let (mut named, mut unnamed) = (0, 0);
    for leaf in leaves(&file, "fetched-program") {
        match leaf.functions.last().map(String::as_str) {
            Some("outer" | "main") => named += 1,
            // The C library's start.
            Some(_) => {}
            None => unnamed += 1,
        }
    }
    println!("{named} leaves named, {unnamed} before the file was there");
    assert!(named >= ENOUGH);
}
