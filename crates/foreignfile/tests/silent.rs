//! File systems that do not answer.

#[path = "../../../tests/src/fuse.rs"]
#[allow(dead_code, unreachable_pub, reason = "of the harness of the whole")]
mod fuse;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use foreignfile::{FilePlace, Files, Quarantine, Refusal};

use fuse::{Fuse, opcode};
use rustix::fs::{Mode, OFlags};

const WITHIN: Duration = Duration::from_secs(60);
/// For how long an answer is waited for that is not to come.
const SILENCE: Duration = Duration::from_secs(5);

struct Mounted {
    // Unmounted before the directory is removed.
    fuse: Fuse,
    dir: tempfile::TempDir,
}

impl Mounted {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let point = dir.path().join("mounted");
        std::fs::create_dir(&point).expect("a directory can be made");
        let fuse = Fuse::mount(&point, b"contents".to_vec());
        Self { fuse, dir }
    }

    /// A file of the file system that holds the mount.
    fn other(&self) -> PathBuf {
        let path = self.dir.path().join("other");
        std::fs::write(&path, "other").expect("a file can be written");
        path
    }
}

fn own(path: &Path) -> FilePlace<'_> {
    FilePlace::Own { path, follows_links: false }
}

/// No request goes to a file system for a file that is not the wanted one: an open alone may have effects.
#[test]
#[ignore = "needs root: mounts FUSE"]
fn a_file_that_is_not_wanted_is_not_opened() {
    let mounted = Mounted::new();
    let mut files = Files::new(Arc::default());
    // The server is a thread of this process, and may be late.
    files.wait_for_answers(WITHIN);
    let path = mounted.fuse.file();
    assert!(matches!(files.open(own(&path), WITHIN, |_| false), Err(Refusal::Unwanted)));
    let asked = mounted.fuse.asked();
    assert!(
        ![opcode::OPEN, opcode::READ, opcode::STATFS].iter().any(|opcode| asked.contains(opcode)),
        "{asked:?}"
    );
    let mut text = String::new();
    files.open(own(&path), WITHIN, |_| true).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");
    assert!(mounted.fuse.asked().contains(&opcode::OPEN));
}

/// A file system that does not answer is waited for once; others are read on, and it too once it answers again.
#[test]
#[ignore = "needs root: mounts FUSE"]
fn a_file_system_that_does_not_answer_is_left_and_skipped() {
    let mounted = Mounted::new();
    let quarantine = Arc::<Quarantine>::default();
    let mut files = Files::new(Arc::clone(&quarantine));
    let (path, other) = (mounted.fuse.file(), mounted.other());
    // A file that was opened would be closed at the end, which asks the file system, too.
    let held = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let link = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held)));
    let link = FilePlace::Link { link: &link, process: Path::new("/proc/self"), device: None };
    mounted.fuse.silence();
    files.wait_for_answers(SILENCE);
    assert!(matches!(files.open(link, WITHIN, |_| true), Err(Refusal::Silent)));
    assert!(matches!(files.open(link, WITHIN, |_| true), Err(Refusal::Skipped)));
    let [name] = &*quarantine.skipped() else { panic!("{:?}", quarantine.skipped()) };
    assert!(name.starts_with("fuse at \"") && name.contains("mounted"), "{name}");
    // A disk that is busy is late, and answers.
    files.wait_for_answers(WITHIN);
    files.open(own(&other), WITHIN, |_| true).unwrap();
    files.wait_for_answers(SILENCE);
    assert!(
        matches!(files.open(own(&path), WITHIN, |_| true), Err(Refusal::Silent)),
        "the way to it is another thing"
    );
    assert!(matches!(files.open(own(&path), WITHIN, |_| true), Err(Refusal::Skipped)));
    files.wait_for_answers(WITHIN);
    files.open(own(&other), WITHIN, |_| true).unwrap();
}
