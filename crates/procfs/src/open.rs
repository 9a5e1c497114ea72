//! Opening files that processes may have put anything in the place of.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pdata::MappedFile;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::error::ProcError;

/// What has come in the file's place may be a FIFO, whose open would wait, or a device, whose open
/// may do anything: `/dev/watchdog` restarts the machine. So it is found first, which opens nothing.
const FIND: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// NONBLOCK: an open waits for a lease on the file, too.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Source: uapi/linux/magic.h.
const OVERLAYFS_SUPER_MAGIC: i64 = 0x794c_7630;
const BTRFS_SUPER_MAGIC: i64 = 0x9123_683e;

/// The regular file at a path, seen by the agent itself.
///
/// # Errors
/// [`ProcError::Gone`] if there is none, or something else.
pub fn open_file(path: &Path) -> Result<File, ProcError> {
    open_regular(&rustix::fs::open(path, FIND, Mode::empty())?)
}

/// The regular file at a path below a root.
///
/// # Errors
/// As [`open_file`].
pub(crate) fn open_below(root: &Path, path: &Path) -> Result<File, ProcError> {
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

/// True if an open file is the one that the kernel met in a mapping: by inode number, time of the last change and size,
/// and by device where the file system shows the one that the kernel has inside.
///
/// # Errors
/// Whatever asking says.
pub fn is_file(opened: &File, file: &MappedFile) -> io::Result<bool> {
    let found = opened.metadata()?;
    let seconds = u64::try_from(found.mtime()).unwrap_or_default();
    let modified = seconds.wrapping_mul(1_000_000_000).wrapping_add(found.mtime_nsec().cast_unsigned());
    let same =
        (found.ino(), modified, found.len()) == (file.identity.inode, file.identity.modified, file.size);
    if !same || kernel_device(found.dev()) == file.identity.device {
        return Ok(same);
    }
    // An overlay and a subvolume each show a device of their own.
    let kind = rustix::fs::fstatfs(opened)?.f_type;
    Ok([OVERLAYFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC].contains(&kind))
}

/// A device number as the kernel has it inside: 12 bits of major and 20 of minor.
pub fn kernel_device(device: u64) -> u32 {
    (rustix::fs::major(device) << 20) | (rustix::fs::minor(device) & 0xf_ffff)
}
