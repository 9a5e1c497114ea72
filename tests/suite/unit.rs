//! The agent with the capabilities of the shipped unit, and no others.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tests::agent::Setup;
use tests::daemon::Daemon;
use tests::otlp::OtlpFile;
use tests::{wait, workspace};

use crate::alone;

/// A program that runs in a library of its own until it is killed.
const LIBRARY: &str = "void burn(void) { volatile unsigned long n = 0; for (;;) n++; }";
const PROGRAM: &str = "void burn(void); int main(void) { burn(); }";

fn compile(dir: &Path, name: &str, text: &str, args: &[&str]) {
    let source = dir.join(name).with_extension("c");
    fs::write(&source, text).expect("a file can be written");
    let mut command = Command::new("cc");
    let status = command.arg("-O1").arg("-o").arg(dir.join(name)).arg(&source).args(args).status();
    assert!(status.expect("a C compiler starts").success(), "{name} does not compile");
}

/// The capabilities of the shipped unit but those of `without`, in the form of setpriv(1).
fn capabilities(without: &[&str]) -> String {
    let unit = fs::read_to_string(workspace::file("../config/pipeline.service")).expect("the unit is there");
    let set =
        unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("it has a set");
    let mut names: Vec<_> = set.split_whitespace().collect();
    for gone in without {
        assert!(names.contains(gone), "the unit has no {gone}");
        names.retain(|name| name != gone);
    }
    let names = names.into_iter().map(|name| {
        // Capabilities that older versions of setpriv know by number only.
        let number =
            ["CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"].iter().position(|known| *known == name);
        match number {
            Some(number) => format!(",+cap_{}", 38 + number),
            None => format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()),
        }
    });
    format!("-all{}", names.collect::<String>())
}

/// Runs an agent with these capabilities until it has read the file that was at `path`, which has been deleted.
fn assert_is_read(path: &Path, capabilities: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("profiles.jsonl");
    let setup = Setup::new().file(&file).samples_per_second(97);
    let agent = setup.command();
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set").arg(capabilities).arg(agent.get_program()).args(agent.get_args());
    let agent = Daemon::start("the agent", &mut command);
    agent.wait_for_log("Everything is ready.");
    wait::until(
        "the file to be read",
        || {
            let file = OtlpFile::read_so_far(&file).expect("the agent has written OTLP profiles");
            let resources = file.resources().expect("every index is good");
            let samples =
                resources.iter().flat_map(|resource| &resource.profiles).flat_map(|profile| &profile.samples);
            let mut leaves = samples.filter_map(|sample| sample.stack.first()?.mapping.as_ref());
            leaves.any(|mapping| {
                mapping.filename.starts_with(&*path.to_string_lossy())
                    && mapping.attributes.contains_key("process.executable.build_id.htlhash")
            })
        },
        |is_so| *is_so,
    );
    agent.signal(Signal::TERM);
    agent.wait().assert_code(0);
}

/// A deleted library of a process that is older than the agent is read through the process that has it mapped.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_deleted_library_of_an_older_process_is_read_with_the_capabilities_of_the_unit() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().canonicalize().expect("it is there");
    let library = dir.join("libburn.so");
    compile(&dir, "libburn.so", LIBRARY, &["-shared", "-fPIC"]);
    let search = format!("-Wl,-rpath,{}", dir.display());
    compile(&dir, "burner", PROGRAM, &["-L", &dir.to_string_lossy(), "-lburn", &search]);
    let burner = Daemon::start("the burner", &mut Command::new(dir.join("burner")));
    let maps = format!("/proc/{}/maps", burner.pid());
    wait::until(
        "the library to be mapped",
        || fs::read_to_string(&maps).is_ok_and(|maps| maps.contains("libburn.so")),
        |is_so| *is_so,
    );
    fs::remove_file(&library).expect("it can be deleted");
    assert_is_read(&library, &capabilities(&[]));
}

/// Links to mapped files cannot be followed without `CAP_CHECKPOINT_RESTORE`. The link to a process's executable can,
/// so that a deleted program of a process that is older than the agent is read all the same.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_deleted_program_of_an_older_process_is_read_without_the_capability_for_mapped_files() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().canonicalize().expect("it is there");
    let program = dir.join("burner");
    compile(&dir, "burner", &format!("{LIBRARY} {PROGRAM}"), &[]);
    let burner = Daemon::start("the burner", &mut Command::new(&program));
    let executable = format!("/proc/{}/exe", burner.pid());
    wait::until(
        "the program to run",
        || fs::read_link(&executable).is_ok_and(|path| path == program),
        |is_so| *is_so,
    );
    fs::remove_file(&program).expect("it can be deleted");
    assert_is_read(&program, &capabilities(&["CAP_CHECKPOINT_RESTORE"]));
}
