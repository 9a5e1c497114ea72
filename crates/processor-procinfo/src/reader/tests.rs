//! Files read through the eyes of this very process, and through our own once a process has ended.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use pdata::{Backing, BootTime, BuildId, FileOffset, Mapping, MappingRecord, Pid};

use super::files::{FileReader, Outcome};
use super::*;
use crate::elf;
use crate::files::Files;
use crate::procfs::source::kernel_inode;
use crate::procfs::source::tests::own_key;
use crate::tests::world::executable;

/// A process that has never been.
const ENDED: ProcessKey = ProcessKey { pid: Pid(u32::MAX), start_time: BootTime::from_nanos(1) };

fn record(path: &Path, build_id: Option<BuildId>) -> MappingRecord {
    let name = path.to_str().unwrap().as_bytes().into();
    MappingRecord { start: Pc(1), end: Pc(2), file_offset: FileOffset(0), name, build_id }
}

/// What reading a file gave that an ended process had mapped.
fn read(reader: &mut FileReader, path: &Path, build_id: Option<BuildId>) -> (Outcome, Arc<Mapping>) {
    read_as(ENDED, reader, path, build_id)
}

fn read_as(
    process: ProcessKey,
    reader: &mut FileReader,
    path: &Path,
    build_id: Option<BuildId>,
) -> (Outcome, Arc<Mapping>) {
    let mut asked = Vec::new();
    let mapping = Files::default().mapping(&record(path, build_id), process, &mut asked);
    let Some(Request::File(request)) = asked.pop() else { panic!("{asked:?}") };
    (reader.read(&ProcSource::new("/proc"), &request), mapping)
}

fn facts(mapping: &Mapping) -> Option<&pdata::FileFacts> {
    match &mapping.backing {
        Backing::File(file) => file.facts.get(),
        other => panic!("{} is no file", other.name()),
    }
}

/// The C library: every machine has one, with a build ID.
fn library() -> (std::path::PathBuf, pdata::FileFacts) {
    static LIBRARY: OnceLock<std::path::PathBuf> = OnceLock::new();
    let path = LIBRARY.get_or_init(|| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.contains("/libc.so") || line.contains("/libc-")).unwrap();
        line.split_whitespace().last().unwrap().into()
    });
    let facts = elf::read_facts(&mut fs::File::open(path).unwrap()).unwrap();
    (path.clone(), facts)
}

#[test]
fn a_live_process_shows_its_files_even_without_build_id() {
    let (path, expected) = library();
    let (outcome, mapping) = read_as(own_key(), &mut FileReader::default(), &path, None);
    assert_eq!((outcome, facts(&mapping)), (Outcome::Read, Some(&expected)));
}

#[test]
fn a_file_outlives_its_process_if_the_build_id_proves_it() {
    let (path, expected) = library();
    let (outcome, mapping) = read(&mut FileReader::default(), &path, expected.build_id);
    assert_eq!((outcome, facts(&mapping)), (Outcome::Read, Some(&expected)));
}

#[test]
fn a_file_of_an_ended_process_without_build_id_is_gone() {
    let (path, _) = library();
    let (outcome, mapping) = read(&mut FileReader::default(), &path, None);
    assert_eq!((outcome, facts(&mapping)), (Outcome::Gone, None));
}

#[test]
fn a_file_that_has_replaced_the_mapped_one_is_refused() {
    let (path, _) = library();
    let (outcome, mapping) = read(&mut FileReader::default(), &path, BuildId::new(&[9; 20]));
    assert_eq!((outcome, facts(&mapping)), (Outcome::Replaced, None));
}

#[test]
fn an_executed_file_without_build_id_is_known_by_its_inode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    fs::write(&path, "no elf").unwrap();
    let inode = kernel_inode(&fs::File::open(&path).unwrap()).unwrap();
    // In its chroot the process saw it as `/program`.
    let mut executable = executable(path.to_str().unwrap());
    executable.own_path = Some(Path::new("/program").into());
    for (device, inode, expected) in [
        (inode.0, inode.1, Outcome::NotElf),
        (inode.0, inode.1 + 1, Outcome::Gone),
        (9, inode.1, Outcome::Gone),
    ] {
        let (mut files, mut asked) = (Files::default(), Vec::new());
        let mapping = files.mapping(&record(Path::new("/program"), None), ENDED, &mut asked);
        (executable.device, executable.inode) = (device, inode);
        files.executed(&executable, ENDED, &mut asked);
        let [Request::File(request)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(FileReader::default().read(&ProcSource::new("/proc"), request), expected);
        assert_eq!(facts(&mapping).is_some(), expected == Outcome::NotElf);
    }
}

#[test]
fn a_copy_that_is_gone_has_the_facts_of_one_that_was_read() {
    let (path, expected) = library();
    let (reader, gone) = (&mut FileReader::default(), Path::new("/nowhere/copy"));
    assert_eq!(read(reader, gone, expected.build_id).0, Outcome::Gone);
    read(reader, &path, expected.build_id);
    let (outcome, mapping) = read(reader, gone, expected.build_id);
    assert_eq!((outcome, facts(&mapping)), (Outcome::Remembered, Some(&expected)));
}

#[test]
fn a_file_that_nobody_has_mapped_any_more_is_not_read() {
    let mut asked = Vec::new();
    drop(Files::default().mapping(&record(Path::new("/bin/sh"), None), ENDED, &mut asked));
    let Some(Request::File(request)) = asked.pop() else { panic!("{asked:?}") };
    let outcome = FileReader::default().read(&ProcSource::new("/proc"), &request);
    assert_eq!(outcome, Outcome::Unneeded);
}

/// The thread answers, in order, what it was asked; and it ends with its other end, so that the test
/// does.
#[test]
fn the_thread_answers_in_order() {
    let mut reader = Reader::start(ProcSource::new("/nowhere")).unwrap();
    let image = |count| ImageKey { process: ENDED, exec_count: pdata::ExecCount(count) };
    for count in 0..10 {
        assert!(reader.ask(Request::Process(ProcessRequest { image: image(count), tid: Tid(1) })));
    }
    for count in 0..10 {
        let answer = reader.answers.recv().unwrap();
        assert_eq!(answer.image, image(count));
        assert!(matches!(answer.outcome, Err(ProcError::Ended)));
    }
    assert!(reader.answer().is_none());
}
