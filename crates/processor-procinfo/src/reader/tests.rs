//! Files read in the view of this very process, and in the agent's own once a process has ended.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use pdata::{BootTime, BuildId, FileFacts, FileIdentity, MappedFile, Pc, Pid, ProcessKey, Tid};
use procfs::{Identify, identity_of};

use super::files::{FileReader, Outcome};
use super::*;
use crate::request::{FileRequest, ProcessRequest};

/// The key of this process. Only the kernel knows its start: the 22nd field of its stat.
fn own_key() -> ProcessKey {
    let text = fs::read("/proc/self/stat").unwrap();
    let after_name = text.rsplit(|&byte| byte == b')').next().unwrap();
    let ticks = String::from_utf8_lossy(after_name).split_whitespace().nth(19).unwrap().parse::<u64>();
    let start_time = BootTime::from_nanos(ticks.unwrap() * 10_000_000);
    ProcessKey { pid: Pid(std::process::id()), start_time }
}

/// A process that has never existed.
const ENDED: ProcessKey = ProcessKey { pid: Pid(u32::MAX), start_time: BootTime::from_nanos(1) };

fn reader() -> FileReader {
    let mut files = Files::new(Arc::default());
    files.wait_for_answers(Duration::from_secs(60));
    FileReader::new(files)
}

/// The file at a path, as the kernel side announces it.
fn announced(path: &Path) -> MappedFile {
    let found = fs::metadata(path).unwrap();
    MappedFile { identity: identity_of(&found), size: found.len(), ..MappedFile::at(path) }
}

fn read(reader: &mut FileReader, process: ProcessKey, file: MappedFile) -> (Outcome, Option<FileFacts>) {
    let file = Arc::new(file);
    let request =
        FileRequest { file: Arc::downgrade(&file), reading: Arc::default(), process, range: (Pc(1), Pc(2)) };
    let outcome = reader.read(&ProcSource::new("/proc"), &request);
    (outcome, file.facts.get().cloned())
}

/// The C library: every machine has one, with a build ID.
fn library() -> (PathBuf, FileFacts) {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let path = LIBRARY.get_or_init(|| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.contains("/libc.so") || line.contains("/libc-")).unwrap();
        line.split_whitespace().last().unwrap().into()
    });
    let facts = procfs::read_facts(&mut fs::File::open(path).unwrap()).unwrap();
    (path.clone(), facts)
}

#[test]
fn a_live_process_shows_its_files_by_a_path_of_its_own() {
    let (path, expected) = library();
    let file = MappedFile { own_path: Some(path.as_path().into()), ..announced(&path) };
    let file = MappedFile { path: Path::new("/nowhere").into(), ..file };
    let (outcome, facts) = read(&mut reader(), own_key(), file);
    assert_eq!((outcome, facts), (Outcome::Read, Some(expected)));
}

#[test]
fn a_file_outlives_its_process_if_it_is_the_one_that_the_kernel_met() {
    let (path, expected) = library();
    let (outcome, facts) = read(&mut reader(), ENDED, announced(&path));
    assert_eq!((outcome, facts), (Outcome::Read, Some(expected)));
}

/// A name proves nothing: another file at the path is refused, whatever the difference is.
#[test]
fn a_file_that_has_replaced_the_mapped_one_is_refused() {
    let (path, _) = library();
    let changes: [fn(&mut MappedFile); 5] = [
        |file| file.identity.inode += 1,
        |file| file.identity.modified += 1,
        |file| file.identity.device += 1,
        |file| file.size += 1,
        |file| file.build_id = BuildId::new(&[9; 20]),
    ];
    for change in changes {
        let mut file = announced(&path);
        change(&mut file);
        let (outcome, facts) = read(&mut reader(), ENDED, file);
        assert_eq!((outcome, facts), (Outcome::Replaced, None));
    }
}

/// A kernel that knows a file by its generation, or cannot be asked.
#[derive(Debug)]
struct Generation(Option<u32>);

impl Identify for Generation {
    fn is_file(&self, _opened: &File, identity: FileIdentity) -> Option<bool> {
        self.0.map(|generation| generation == identity.generation)
    }
}

/// The kernel's identity of an open file goes before the one that `stat` shows, which is the same for a file that has
/// taken another's name, inode number, size and time.
#[test]
fn a_file_that_differs_by_its_generation_alone_is_refused() {
    let (path, expected) = library();
    let read = |kernel| {
        let file = Arc::new(announced(&path));
        let (reading, range) = (Arc::default(), (Pc(1), Pc(2)));
        let request = FileRequest { file: Arc::downgrade(&file), reading, process: ENDED, range };
        let source = ProcSource::new("/proc").verified_by(Arc::new(Generation(kernel)));
        (reader().read(&source, &request), file.facts.get().cloned())
    };
    assert_eq!(read(Some(1)), (Outcome::Replaced, None));
    assert_eq!(read(Some(0)), (Outcome::Read, Some(expected.clone())));
    assert_eq!(read(None), (Outcome::Read, Some(expected)));
}

#[test]
fn a_file_that_is_gone_has_no_facts_unless_it_or_its_copy_has_been_read() {
    let ((path, expected), reader) = (library(), &mut reader());
    let gone = |build_id| MappedFile { build_id, ..MappedFile::at(Path::new("/nowhere/copy")) };
    assert_eq!(read(reader, ENDED, gone(expected.build_id)), (Outcome::Gone, None));
    read(reader, ENDED, announced(&path));
    let remembered = (Outcome::Remembered, Some(expected.clone()));
    assert_eq!(read(reader, ENDED, gone(expected.build_id)), remembered);
    let other_name = MappedFile { path: Path::new("/nowhere").into(), ..announced(&path) };
    assert_eq!(read(reader, ENDED, other_name), remembered);
}

#[test]
fn a_file_that_is_no_elf_file_has_a_hash_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    fs::write(&path, "no elf").unwrap();
    let (outcome, facts) = read(&mut reader(), ENDED, announced(&path));
    assert_eq!(outcome, Outcome::NotElf);
    assert!(facts.unwrap().segments.is_empty());
}

#[test]
fn a_file_that_nobody_refers_to_any_more_is_not_read() {
    let request =
        FileRequest { file: Weak::new(), reading: Arc::default(), process: ENDED, range: (Pc(1), Pc(2)) };
    let outcome = reader().read(&ProcSource::new("/proc"), &request);
    assert_eq!(outcome, Outcome::Unneeded);
}

/// The thread answers requests in order; and it ends with its other end, so that the test does.
#[test]
fn the_thread_answers_in_order() {
    let mut reader = ReaderThreads::start(ProcSource::new("/nowhere"), Arc::default(), &[]).unwrap();
    let image = |count| ImageKey { process: ENDED, exec_count: pdata::ExecCount(count) };
    for count in 0..10 {
        assert!(reader.ask(ReadRequest::Process(ProcessRequest { image: image(count), tid: Tid(1) })));
    }
    for count in 0..10 {
        let answer = reader.answers.recv().unwrap();
        assert_eq!(answer.image, image(count));
        assert!(matches!(answer.outcome, Looked::Process(Err(ProcError::Ended))));
    }
    assert!(reader.answer().is_none());
}

/// The longest time to wait for a thread of a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kernel that does not answer about a file before the test is over.
#[derive(Debug)]
struct StandsStill {
    asked: SyncSender<()>,
    is_over: Mutex<Receiver<()>>,
}

impl Identify for StandsStill {
    fn is_file(&self, _opened: &File, _identity: FileIdentity) -> Option<bool> {
        self.asked.send(()).unwrap();
        // The channel is closed once the test is over.
        let _closed = self.is_over.lock().unwrap().recv();
        None
    }
}

/// The thread that reads files stands still from its first file on, and processes are read all the same: repairs,
/// environments and contexts.
#[test]
fn processes_are_read_while_a_file_is_waited_for() {
    let (path, _) = library();
    let file = Arc::new(announced(&path));
    let (source, range) = (ProcSource::new("/proc"), (Pc(1), Pc(2)));
    // The file is at hand, so that the thread asks the kernel about it and no file system before.
    let mut files = Files::new(Arc::default());
    files.wait_for_answers(PATIENCE);
    source.keep(&file, &source.open_mapped(&mut files, (ENDED, range), &file, PATIENCE).unwrap());
    let ((asked, is_asked), (over, is_over)) = (sync_channel(1), sync_channel(0));
    let source = source.verified_by(Arc::new(StandsStill { asked, is_over: Mutex::new(is_over) }));

    let mut reader = ReaderThreads::start(source, Arc::default(), &[]).unwrap();
    let (file, reading) = (Arc::downgrade(&file), Arc::default());
    assert!(reader.ask(ReadRequest::File(FileRequest { file, reading, process: ENDED, range })));
    is_asked.recv_timeout(PATIENCE).unwrap();
    let image = |count| ImageKey { process: ENDED, exec_count: pdata::ExecCount(count) };
    let request = |count| ProcessRequest { image: image(count), tid: Tid(1) };
    for (count, read) in [
        (0, ReadRequest::Process(request(0))),
        (1, ReadRequest::Environment(request(1))),
        (2, ReadRequest::Context(request(2), None)),
    ] {
        assert!(reader.ask(read));
        let answer = reader.answers.recv_timeout(PATIENCE).expect("no process waits behind a file");
        assert_eq!(answer.image, image(count));
    }
    drop::<SyncSender<()>>(over);
}

#[test]
fn a_file_with_the_build_id_of_another_does_not_take_its_place() {
    let ((path, expected), reader) = (library(), &mut reader());
    let dir = tempfile::tempdir().unwrap();
    let forged = dir.path().join("forged");
    // The same notes, and another hash.
    fs::copy(&path, &forged).unwrap();
    fs::OpenOptions::new().append(true).open(&forged).unwrap().write_all(b"forged").unwrap();
    read(reader, ENDED, announced(&path));
    let (_, facts) = read(reader, ENDED, announced(&forged));
    let facts = facts.unwrap();
    assert!(facts.build_id == expected.build_id && facts.htlhash != expected.htlhash);
    let gone = MappedFile { build_id: expected.build_id, ..MappedFile::at(Path::new("/nowhere/copy")) };
    assert_eq!(read(reader, ENDED, gone), (Outcome::Remembered, Some(expected)));
}
