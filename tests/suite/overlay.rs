//! Programs of overlays, as containers have them: a mapped file is of a layer there, and its name is of the overlay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tests::agent::{Agent, Setup};
use tests::daemon::Daemon;
use tests::otlp::{Mapping, OtlpFile, Sample};
use tests::{wait, workspace};

use crate::alone;

const RATE: u32 = 199;
/// Least samples of each program with a whole stack.
const ENOUGH: usize = 40;
/// The name that both programs have, each in an overlay of its own.
const NAME: &str = "turner-of-layers";
const HTLHASH: &str = "process.executable.build_id.htlhash";
/// Mounts an overlay at one place for both programs, each in a mount namespace of its own, and runs its program.
const SCRIPT: &str = "cd \"$0\"; mount -t tmpfs none layers; mkdir layers/low layers/up layers/work
    cp \"$1\" layers/low/$2; touch -d @1700000000 layers/low/$2
    mount -t overlay -o lowerdir=layers/low,upperdir=layers/up,workdir=layers/work none merged
    exec merged/$2 100000000";

/// Compiles the program that spends its time in `function`, without a build ID.
fn compile(dir: &Path, function: &str) -> PathBuf {
    let program = dir.join(function);
    let mut command = Command::new("cc");
    command.args(["-O1", "-fomit-frame-pointer", "-fno-optimize-sibling-calls", "-Wl,--build-id=none"]);
    command.arg(format!("-DFUNCTION={function}")).arg("-o").arg(&program);
    let status = command.arg(workspace::file("fixtures/overlay/turner.c")).status();
    assert!(status.expect("a C compiler starts").success());
    program
}

/// Starts a program in an overlay of its own. It works until it is dropped.
fn start(dir: &Path, program: &Path) -> Daemon {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-ec", SCRIPT])
        .arg(dir)
        .arg(program)
        .arg(NAME);
    Daemon::start("the program", &mut command)
}

fn agent() -> Agent {
    let pipelines = json!({ "profiles": { "processors": ["procinfo", "symbolizer"] } });
    // Names are waited for, however busy the machine is.
    let symbolizer = json!({ "timeout": "10s" });
    let setup = Setup::new().samples_per_second(RATE);
    setup
        .with(json!({ "processors": { "symbolizer": symbolizer }, "service": { "pipelines": pipelines } }))
        .start()
}

/// The program's mapping, and the functions of a sample's frames in it, innermost first.
fn own(sample: &Sample) -> (Option<&Mapping>, Vec<&str>) {
    let is_own = |mapping: &&Mapping| mapping.filename.ends_with(NAME);
    let frames = sample.stack.iter().filter(|frame| frame.mapping.as_ref().filter(is_own).is_some());
    let functions = frames.flat_map(|frame| frame.functions.iter().map(String::as_str)).collect();
    (sample.stack.iter().filter_map(|frame| frame.mapping.as_ref()).find(is_own), functions)
}

/// The samples of a process, by their number, in the program's own code.
fn samples(file: &OtlpFile, pid: u32) -> Vec<Sample> {
    let resources = file.resources().expect("every index is good");
    let of_process = resources.iter().filter(|resource| {
        resource.attributes.get("process.pid").and_then(|pid| pid.as_int()) == Some(pid.into())
    });
    of_process.flat_map(|resource| resource.samples().cloned().collect::<Vec<_>>()).collect()
}

/// Two programs without build IDs have the same path, size and time in two containers: each has its own hash, its own
/// names, and whole stacks.
#[test]
#[ignore = "needs root: loads BPF programs, and mounts"]
fn programs_of_one_path_in_two_overlays_have_each_its_own_names_and_whole_stacks() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().canonicalize().expect("it is there");
    for name in ["layers", "merged"] {
        std::fs::create_dir(path.join(name)).expect("the directory is the test's own");
    }
    let functions = ["turn_left", "turn_away"];
    let programs = functions.map(|function| compile(&path, function));
    assert_eq!(programs[0].metadata().unwrap().len(), programs[1].metadata().unwrap().len());
    let agent = agent();
    let running = programs.each_ref().map(|program| start(&path, program));
    let pids = running.each_ref().map(Daemon::pid);
    let whole = |file: &OtlpFile, at: usize| {
        let is_whole = |sample: &&Sample| own(sample).1 == [functions[at], "middle", "main", "_start"];
        samples(file, pids[at]).iter().filter(is_whole).map(|sample| sample.times.len()).sum::<usize>()
    };
    let look = || {
        let file = agent.file_so_far();
        whole(&file, 0).min(whole(&file, 1))
    };
    wait::until("whole stacks of both programs", look, |whole| *whole >= ENOUGH);
    drop(running);

    let file = agent.stop().file;
    let hashes = [0, 1].map(|at| {
        let samples = samples(&file, pids[at]);
        let other = functions[1 - at];
        assert!(samples.iter().all(|sample| !own(sample).1.contains(&other)), "a name of the other program");
        let mappings = samples.iter().filter_map(|sample| own(sample).0);
        mappings
            .filter_map(|mapping| mapping.attributes.get(HTLHASH)?.as_text())
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    });
    let [left, away] = hashes.map(|hashes| <[String; 1]>::try_from(hashes.into_iter().collect::<Vec<_>>()));
    assert_ne!(left.expect("one hash"), away.expect("one hash"));
}
