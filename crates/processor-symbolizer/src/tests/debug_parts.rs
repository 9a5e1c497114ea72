//! Parts of debug information, as processes that live, processes in other mount namespaces and processes that are gone
//! have them.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foreignfile::Quarantine;
use pdata::{MappedFile, Pc, ProcessKey};
use procfs::ProcSource;
use symbolize::{DebugPart, DebugParts as _};

use super::jit::key_of;
use super::make::ENDED;
use crate::debug_parts::PartFiles;
use crate::line_job::{LineJob, LineSource};
use crate::request::Space;

/// The outcome of opening, within that time, a unit in `dir` for a process of a program there that this user owns.
fn opened(process: ProcessKey, dir: &Path, within: Duration) -> io::Result<bool> {
    let job = LineJob {
        ticket: 0,
        space: Space::Jit(process),
        file: Arc::new(MappedFile::at(&dir.join("program"))),
        process,
        range: (Pc(0), Pc(1)),
        user: None,
        source: LineSource::Own(None),
        addresses: Vec::new(),
    };
    let mut reader = foreignfile::Files::new(Quarantine::of_this_process());
    reader.wait_for_answers(Duration::from_secs(120));
    let until = Instant::now() + within;
    let (source, owner) = (ProcSource::new("/proc"), rustix::process::geteuid().as_raw());
    let mut parts = PartFiles { source: &source, reader: &mut reader, job: &job, owner, until };
    let directory = dir.to_str().unwrap();
    let opened = parts.open(DebugPart::Unit { directory, path: "unit.dwo" });
    assert_eq!(parts.is_late(), within.is_zero());
    opened.map(|file| file.is_some())
}

/// Longer than anything takes, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// The path of a part is chosen by the program, and once its process is gone, nobody knows whose view it is of: the
/// agent's own is not the one.
#[test]
fn a_unit_is_not_looked_for_in_the_agents_view_for_a_process_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("unit.dwo"), "unit").unwrap();
    assert!(opened(key_of(std::process::id()), dir.path(), PATIENCE).unwrap());
    // Another process may have it.
    assert_eq!(opened(ENDED, dir.path(), PATIENCE).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// Parts are not absent because the time of a job is over: they are not opened now.
#[test]
fn no_part_is_opened_when_it_is_late() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("unit.dwo"), "unit").unwrap();
    let late = opened(key_of(std::process::id()), dir.path(), Duration::ZERO);
    assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
    fs::remove_file(dir.path().join("unit.dwo")).unwrap();
    assert!(!opened(key_of(std::process::id()), dir.path(), PATIENCE).unwrap());
}

/// A container's user 0 owns its programs, and by number the files that root has on the machine, too: those are not
/// opened because a program in the container names them.
#[test]
#[ignore = "needs root: makes a mount namespace"]
fn a_unit_that_a_process_in_another_mount_namespace_does_not_see_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("unit.dwo"), "unit").unwrap();
    let script = "mount -t tmpfs tmpfs \"$0\" && echo mounted && exec sleep 600";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(dir.path());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let opened = opened(key_of(child.id()), dir.path(), PATIENCE);
    let _ended = (child.kill(), child.wait());
    assert_eq!(said, "mounted\n");
    assert!(!opened.unwrap());
}
