//! Parts of debug information, as processes that live, processes in other mount namespaces and processes that are gone
//! have them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use foreignfile::Quarantine;
use pdata::{MappedFile, Pc, ProcessKey};
use procfs::ProcSource;
use symbolize::{DebugPart, DebugParts as _};

use super::jit::key_of;
use super::make::ENDED;
use crate::debug_parts::PartFiles;
use crate::line_job::{LineJob, LineSource};
use crate::request::Space;

/// True if a unit in `dir`, of a program there that this user owns, is opened for a process.
fn is_opened(process: ProcessKey, dir: &Path) -> bool {
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
    let (source, owner) = (ProcSource::new("/proc"), rustix::process::geteuid().as_raw());
    let mut parts = PartFiles { source: &source, reader: &mut reader, job: &job, owner };
    let directory = dir.to_str().unwrap();
    parts.open(DebugPart::Unit { directory, path: "unit.dwo" }).is_some()
}

/// The path of a part is chosen by the program, and once its process is gone, nobody knows whose view it is of: the
/// agent's own is not the one.
#[test]
fn a_unit_is_not_looked_for_in_the_agents_view_for_a_process_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("unit.dwo"), "unit").unwrap();
    assert!(is_opened(key_of(std::process::id()), dir.path()));
    assert!(!is_opened(ENDED, dir.path()));
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
    let opened = is_opened(key_of(child.id()), dir.path());
    let _ended = (child.kill(), child.wait());
    assert_eq!(said, "mounted\n");
    assert!(!opened);
}
