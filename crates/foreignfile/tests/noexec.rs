//! Mounts from which nothing is executed.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use foreignfile::{FilePlace, Files, Refusal};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Longer than a busy machine takes for an answer.
const WITHIN: Duration = Duration::from_secs(60);

/// A file system of its own, which is unmounted when it is dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn with(flags: MountFlags) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        mount("files", dir.path(), "tmpfs", flags, None).expect("root may mount");
        std::fs::write(dir.path().join("file"), "contents").expect("a file can be written");
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("file")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A directory that is still in use stays behind.
        let _best = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

fn own(path: &Path) -> FilePlace<'_> {
    FilePlace::Own { path, follows_links: false }
}

/// No process can have mapped code from such a mount, so nothing there is read as code. Data is: lists of functions
/// that processes write are often in a `/tmp` of this kind.
#[test]
#[ignore = "needs root: mounts a tmpfs"]
fn no_code_is_read_from_a_mount_with_noexec() {
    let mut files = Files::new(Arc::default());
    files.wait_for_answers(WITHIN);
    let (executable, data) = (Mounted::with(MountFlags::empty()), Mounted::with(MountFlags::NOEXEC));
    let mut text = String::new();
    files.open(own(&executable.file()), WITHIN, |_| true).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");
    let path = data.file();
    let refused = files.open(own(&path), WITHIN, |_| true).map(drop);
    assert!(matches!(refused, Err(Refusal::NoExec)), "{refused:?}");
    text.clear();
    files.open_data(own(&path), WITHIN, |_| true).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");
}
