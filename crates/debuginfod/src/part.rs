//! A file of the cache that is being written.

use std::fs::File;
use std::io::{self, Write as _};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use bytesource::OpenFile;
use rustix::fs::{AtFlags, FlockOperation, OFlags, flock, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::build_id::GnuBuildId;
use crate::cache::{Cache, FILE_MODE, PART, name_of};
use crate::error::FetchError;

/// Attempts to find a name that no other part has.
const ATTEMPTS: usize = 16;

/// The part of a file that has come so far. It is removed when it is dropped before it is whole.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    cache: &'a Cache,
    id: GnuBuildId,
    name: String,
    file: File,
    written: u64,
    /// Bytes for which there is room.
    room: u64,
    /// True once the file has the name of its build ID.
    is_kept: bool,
}

impl<'a> Part<'a> {
    /// Creates the file of a build ID, of which `expected` bytes will come, if that is known.
    ///
    /// # Errors
    /// If the file cannot be created, or the files in use leave no room.
    pub(crate) fn create(
        cache: &'a Cache,
        id: GnuBuildId,
        expected: Option<u64>,
    ) -> Result<Self, FetchError> {
        let room = expected.unwrap_or_default();
        cache.make_room(room)?;
        let (name, file) = create(cache, &id).map_err(|error| FetchError::Disk(error.into()))?;
        Ok(Self { cache, id, name, file, written: 0, room, is_kept: false })
    }

    /// Bytes that have come so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// If they cannot be written, or the files in use leave no room.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let written = self.written + bytes.len() as u64;
        if written > self.room {
            let more = self.cache.step().max(bytes.len() as u64);
            self.cache.make_room(more)?;
            self.room = self.written + more;
        }
        self.file.write_all(bytes).map_err(FetchError::Disk)?;
        self.written = written;
        Ok(())
    }

    /// The bytes that have come, for those who look whether they are the file.
    ///
    /// # Errors
    /// The operating system's error.
    pub(crate) fn source(&self) -> io::Result<OpenFile> {
        OpenFile::new(self.file.try_clone()?)
    }

    /// Gives the file the name of its build ID.
    ///
    /// # Errors
    /// If the file cannot be kept.
    pub(crate) fn keep(mut self) -> Result<(), FetchError> {
        // Even after a power failure, the name is to be that of a whole file.
        self.file.sync_data().map_err(FetchError::Disk)?;
        let directory = &self.cache.directory;
        let renamed = renameat(directory, &self.name, directory, name_of(&self.id));
        renamed.map_err(|error| FetchError::Disk(error.into()))?;
        self.is_kept = true;
        // The metric shows the file, too. That others have filled the directory meanwhile is no fault of the file.
        let _full = self.cache.make_room(0);
        Ok(())
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            // A part that cannot be removed is when there is no room, or by the next agent.
            let _left = unlinkat(&self.cache.directory, &self.name, AtFlags::empty());
        }
    }
}

/// A new file that nobody else has open, locked so that nobody takes it for one that was left.
fn create(cache: &Cache, id: &GnuBuildId) -> Result<(String, File), Errno> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _attempt in 0..ATTEMPTS {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{id}.{}.{number}{PART}", process::id());
        match openat(&cache.directory, &name, flags, FILE_MODE) {
            // An agent in another pid namespace may have the same number.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
            Ok(file) => {
                flock(&file, FlockOperation::NonBlockingLockExclusive)?;
                return Ok((name, file.into()));
            }
        }
    }
    Err(Errno::EXIST)
}
