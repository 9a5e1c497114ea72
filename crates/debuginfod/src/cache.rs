//! The directory of fetched files.
//!
//! A file has the name of its build ID. Whoever reads a file holds a shared lock on it (flock(2)), and whoever writes a
//! part an exclusive one: a file that is locked makes no room for others, and a part that nobody has locked was left
//! by an agent that is gone. So agents may share the directory, and an agent that was killed leaves nothing behind.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, flock, futimens,
    openat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::build_id::GnuBuildId;
use crate::error::FetchError;
use crate::metrics;

/// Mode of a directory that is made, and of the files in it.
const DIRECTORY_MODE: u32 = 0o700;
pub(crate) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Ends of the names of whole files and of those that are being written.
const WHOLE: &str = ".debug";
pub(crate) const PART: &str = ".part";

/// The directory, which stays the same even if somebody moves it.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) directory: File,
    max_bytes: u64,
}

/// A file in the directory.
#[derive(Debug)]
struct Entry {
    name: CString,
    size: u64,
    /// Time of its last use, in seconds and nanoseconds.
    used: (i64, i64),
    is_part: bool,
}

impl Cache {
    /// Finds or makes the directory, for files of at most `max_bytes` in all.
    ///
    /// # Errors
    /// The operating system's error; `PermissionDenied` for a directory that others can write to, or replace.
    pub(crate) fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        if !path.is_dir() {
            let above = path.ancestors().skip(1).find(|above| above.is_dir());
            openfile::guard_above(above.unwrap_or(Path::new("/")))?;
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
        }
        let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
        let directory = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        openfile::guard(path)?;
        openfile::can_create_in(path)?;
        let cache = Self { directory, max_bytes };
        // Parts of agents that are gone are removed now: they may be all that is there.
        match cache.make_room(0) {
            Err(FetchError::Disk(error)) => Err(error),
            // Files that others have in use leave once they are not.
            _ => Ok(cache),
        }
    }

    /// The file of a build ID, which stays in the directory as long as the file is open; `None` if it is not there.
    pub(crate) fn file(&self, id: &GnuBuildId) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = openat(&self.directory, name_of(id), flags, Mode::empty()).ok()?.into();
        let found = file.metadata().ok()?;
        if !found.is_file() || found.uid() != geteuid().as_raw() {
            return None;
        }
        // Whoever has locked it is about to remove it.
        flock(&file, FlockOperation::NonBlockingLockShared).ok()?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // The time of modification is that of the last use: without it, the file only leaves sooner.
        let _unknown = futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Some(file)
    }

    /// Removes files until there is room for `bytes` more: those used longest ago, unless they are in use.
    ///
    /// # Errors
    /// If the directory cannot be read, or the files in use leave no room.
    pub(crate) fn make_room(&self, bytes: u64) -> Result<(), FetchError> {
        let mut entries = self.entries().map_err(|error| FetchError::Disk(error.into()))?;
        // Parts that somebody has left are of no use to anybody.
        entries.sort_unstable_by_key(|entry| (!entry.is_part, entry.used));
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        for entry in &entries {
            let fits = total.saturating_add(bytes) <= self.max_bytes;
            if (!fits || entry.is_part) && self.remove(entry) {
                total -= entry.size;
                if !entry.is_part {
                    metrics::evicted();
                }
            }
        }
        metrics::cache(total);
        if total.saturating_add(bytes) <= self.max_bytes { Ok(()) } else { Err(FetchError::NoRoom) }
    }

    /// A part of the room, by which a file of unknown size grows.
    pub(crate) fn step(&self) -> u64 {
        (self.max_bytes / 16).min(8 << 20)
    }

    /// The files of the directory; whatever has another name than ours is not ours.
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let mut entries = Vec::new();
        for found in Dir::read_from(&self.directory)? {
            let name = found?.file_name().to_owned();
            let text = name.to_bytes();
            let is_part = text.ends_with(PART.as_bytes());
            if !is_part && !text.ends_with(WHOLE.as_bytes()) {
                continue;
            }
            // Another agent may remove it meanwhile.
            let Ok(stat) = statat(&self.directory, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode).is_file() {
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
                entries.push(Entry { name, size, used: (stat.st_mtime, nanos), is_part });
            }
        }
        Ok(entries)
    }

    /// Removes a file unless somebody has locked it; true if it is gone.
    fn remove(&self, entry: &Entry) -> bool {
        let name: &CStr = &entry.name;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(error) => return error == Errno::NOENT,
        };
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && unlinkat(&self.directory, name, AtFlags::empty()).is_ok()
    }
}

/// The name of the file of a build ID.
pub(crate) fn name_of(id: &GnuBuildId) -> String {
    format!("{id}{WHOLE}")
}
