//! Files of this machine, read on a thread: the tests' binary cannot be a reader. Sources that do not answer are tested
//! in `tests/suite/stuck.rs`.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytesource::ByteSource as _;
use rustix::fs::{CWD, Mode, mknodat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::*;
use crate::message::MAX_READ;
use crate::mounts::Mounts;
use crate::place::OWN;

const WITHIN: Duration = Duration::from_secs(60);

fn files() -> Files {
    let mut files = Files::new(Arc::default());
    files.wait_for_answers(WITHIN);
    files
}

fn own(path: &Path) -> FilePlace<'_> {
    FilePlace::Own { path, follows_links: false }
}

fn text(opened: &mut Opened<'_>) -> String {
    let mut text = String::new();
    opened.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_file_is_read_in_pieces_from_any_position() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    let contents: String = ('a'..='z').cycle().take(3 * MAX_READ + 5).collect();
    fs::write(&path, &contents).unwrap();
    let mut files = files();
    let mut opened = files.open(own(&path), WITHIN, |_| true).unwrap();
    assert_eq!(text(&mut opened), contents);
    assert_eq!(opened.shared().unwrap().metadata().unwrap().ino(), opened.found().inode);
    assert_eq!(opened.seek(SeekFrom::End(-5)).unwrap(), contents.len() as u64 - 5);
    assert_eq!(text(&mut opened), contents[contents.len() - 5..]);
    assert_eq!(opened.read_at(1 << 30, &mut [0; 8]).unwrap(), 0);
    drop(opened);
    let seen = FilePlace::Seen { process: Path::new(OWN), path: &path };
    assert_eq!(text(&mut files.open(seen, WITHIN, |_| true).unwrap()), contents);
    let held = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let link = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held)));
    let link = FilePlace::Link { link: &link, process: Path::new(OWN), device: None };
    assert_eq!(text(&mut files.open(link, WITHIN, |_| true).unwrap()), contents);
}

#[test]
fn what_is_found_is_shown_before_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "text").unwrap();
    let expected = fs::metadata(&path).unwrap();
    let mut files = files();
    let unwanted = files.open(own(&path), WITHIN, |found| {
        assert_eq!((found.device, found.inode, found.size), (expected.dev(), expected.ino(), 4));
        assert_eq!(found.modified, (expected.mtime(), u32::try_from(expected.mtime_nsec()).unwrap()));
        let mounts = Mounts::of(Path::new(OWN)).unwrap();
        assert!(mounts.by_id(found.mount).is_some_and(|mount| dir.path().starts_with(&mount.point)));
        false
    });
    assert!(matches!(unwanted, Err(Refusal::Unwanted)));
}

#[test]
fn a_local_file_is_read_after_the_reader_has_let_it_go_and_knows_when_it_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["first", "second"].map(|name| dir.path().join(name));
    paths.iter().for_each(|path| fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap());
    let mut files = files();
    let local = files.open(own(&paths[0]), WITHIN, |_| true).unwrap().into_local().unwrap();
    assert_eq!(text(&mut files.open(own(&paths[1]), WITHIN, |_| true).unwrap()), "second");
    let mut bytes = [0; 5];
    local.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!((&bytes, local.size(), local.is_unchanged().unwrap()), (b"first", 5, true));
    fs::write(&paths[0], "longer").unwrap();
    assert!(!local.is_unchanged().unwrap());
}

/// No open waits, and nothing is read that the kernel makes up, whatever has come in the place of a file.
#[test]
fn what_is_no_file_of_a_real_file_system_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (fifo, link, empty) = (dir.path().join("fifo"), dir.path().join("link"), dir.path().join("empty"));
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink("/etc/passwd", &link).unwrap();
    File::create(&empty).unwrap();
    let mut files = files();
    for path in [
        &*fifo,
        &*link,
        &*empty,
        dir.path(),
        Path::new("/dev/null"),
        Path::new("/none"),
        Path::new("/proc/1/stat"),
    ] {
        let refused = files.open(own(path), WITHIN, |_| true).unwrap_err();
        assert!(matches!(refused, Refusal::Gone), "{path:?}: {refused:?}");
    }
    // More may be written to a file that is no code, and pretending to be empty does not help.
    assert_eq!(files.open_data(own(&empty), WITHIN, |_| true).unwrap().found().size, 0);
    let refused = files.open_data(own(Path::new("/proc/1/stat")), WITHIN, |_| true).unwrap_err();
    assert!(matches!(refused, Refusal::MadeUp { kind: 0x9fa0 }), "{refused:?}");
    // The file has a size, so that only its file system gives it away.
    let made_up = Path::new("/sys/kernel/uevent_seqnum");
    let refused = files.open(own(made_up), WITHIN, |_| true).unwrap_err();
    assert!(matches!(refused, Refusal::MadeUp { kind: 0x6265_6572 }), "{refused:?}");
    let followed = FilePlace::Own { path: &link, follows_links: true };
    assert!(files.open(followed, WITHIN, |_| true).is_ok());
}

/// A reader that somebody kills is replaced.
#[test]
fn a_reader_that_has_gone_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "text").unwrap();
    let mut files = files();
    files.look(own(&path)).unwrap();
    let (other, gone) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    drop(gone);
    files.0.reader().unwrap().disconnect(other);
    assert!(matches!(files.look(own(&path)), Err(Refusal::NoReader(_))));
    assert_eq!(files.look(own(&path)).unwrap().size, 4);
}

#[test]
fn memory_of_a_process_is_read_as_far_as_it_is_there() {
    let text = Box::new(*b"some bytes of this very process");
    let (own, mut files) = (Path::new(OWN), files());
    let address = std::ptr::from_ref(&*text).addr() as u64;
    let length = u32::try_from(text.len()).unwrap();
    assert_eq!(files.read_memory(own, ProcessMemory::Mem, address, length).unwrap(), *text);
    assert!(matches!(files.read_memory(own, ProcessMemory::Mem, 0, 8), Err(Refusal::Open(_))));
    let many: Vec<u8> = (0..300_001_u32).map(|number| number.to_le_bytes()[0]).collect();
    let read = files.read_memory(own, ProcessMemory::Mem, many.as_ptr().addr() as u64, 300_001).unwrap();
    assert!(read == many, "more than one answer holds");
    // A program that waits for its input maps nothing more.
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
    input.write_all(b".").unwrap();
    output.read_exact(&mut [0]).unwrap();
    let process = Path::new("/proc").join(cat.id().to_string());
    let mut maps = |at, length| files.read_memory(&process, ProcessMemory::Maps, at, length).unwrap();
    let (whole, first, rest) = (maps(0, u32::MAX), maps(0, 100), maps(100, u32::MAX));
    assert!(whole.len() > 200 && whole == [first, rest].concat());
    drop(input);
    cat.wait().unwrap();
    let gone = files.read_memory(Path::new("/proc/0"), ProcessMemory::Maps, 0, 8);
    assert!(matches!(gone, Err(Refusal::Gone)), "{gone:?}");
}
