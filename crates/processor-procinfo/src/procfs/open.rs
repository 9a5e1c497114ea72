//! Opening files that processes may have put anything in the place of.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::source::ProcError;

/// What has come in the file's place may be a FIFO, whose open would wait, or a device, whose open
/// may do anything: `/dev/watchdog` restarts the machine. So it is found first, which opens nothing.
const FIND: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// NONBLOCK: an open waits for a lease on the file, too.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The regular file at a path, seen by the agent itself.
///
/// # Errors
/// [`ProcError::Gone`] if there is none, or something else.
pub(crate) fn open_file(path: &Path) -> Result<File, ProcError> {
    open_regular(&rustix::fs::open(path, FIND, Mode::empty())?)
}

/// The regular file at a path below a root.
///
/// # Errors
/// As [`open_file`].
pub(super) fn open_below(root: &Path, path: &Path) -> Result<File, ProcError> {
    let root = rustix::fs::open(root, FIND | OFlags::DIRECTORY, Mode::empty())?;
    // A link met on the way means what it means to the process.
    open_regular(&rustix::fs::openat2(root, path, FIND, Mode::empty(), ResolveFlags::IN_ROOT)?)
}

/// Opens what has been found, if it is a regular file. No code was mapped from an empty one, and
/// reading what pretends to be empty, as the files of `/proc` do, may have effects.
fn open_regular(found: &OwnedFd) -> Result<File, ProcError> {
    let stat = rustix::fs::fstat(found)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() || stat.st_size == 0 {
        return Err(ProcError::Gone);
    }
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    Ok(File::from(rustix::fs::open(link, READ, Mode::empty())?))
}
