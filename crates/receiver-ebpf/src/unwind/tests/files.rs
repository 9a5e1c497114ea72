//! Files that are read although their processes have ended.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use pdata::{BootTime, MappedFile, Pc, Pid, ProcessKey};
use procfs::ProcSource;
use unwind::RuleTable;

use crate::unwind::files::{FileError, Files, MetFile};

/// A file as met in a process that has ended.
pub(super) fn met(path: &Path) -> MetFile {
    let found = fs::metadata(path).unwrap();
    let identity = procfs::identity_of(&found);
    let file = MappedFile { identity, size: found.len(), ..MappedFile::at(path) };
    let process = ProcessKey { pid: Pid(u32::MAX), start_time: BootTime::from_nanos(1) };
    MetFile { identity, file: Some(Arc::new(file)), process, range: (Pc(1), Pc(2)) }
}

#[test]
fn a_file_is_read_for_as_long_as_it_is_the_one_that_was_met() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    fs::copy("/proc/self/exe", &path).unwrap();
    let (met, mut rules) = (met(&path), RuleTable::new());
    let mut files = Files::new(ProcSource::new("/proc"));
    let page = files.facts(&met).unwrap().pages - 1;
    files.rows(&met, &[page], &mut rules).unwrap();
    fs::rename(&path, path.with_extension("moved")).unwrap();
    files.rows(&met, &[page], &mut rules).expect("it is still open");
    files.close(true);
    files.rows(&met, &[page], &mut rules).expect("it is kept for the other stages, too");
    fs::rename(path.with_extension("moved"), &path).unwrap();
    files.rows(&met, &[page], &mut rules).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    assert!(
        matches!(files.rows(&met, &[page], &mut rules), Err(FileError::Replaced)),
        "found again, and another"
    );
}

#[test]
fn a_file_that_was_gone_before_anybody_looked_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    fs::copy("/proc/self/exe", &path).unwrap();
    let met = met(&path);
    fs::remove_file(&path).unwrap();
    assert!(matches!(Files::new(ProcSource::new("/proc")).facts(&met), Err(FileError::Gone)));
}

#[test]
fn what_is_no_elf_file_has_no_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    fs::write(&path, "text").unwrap();
    let mut files = Files::new(ProcSource::new("/proc"));
    assert!(matches!(files.facts(&met(&path)), Err(FileError::NoTables(_))));
}
