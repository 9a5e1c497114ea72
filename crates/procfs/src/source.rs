//! Alone in reading `/proc`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pdata::{Comm, Executable, FileState, Pc, ProcessKey, Tid};

use crate::error::ProcError;
use crate::open::{kernel_device, open_below, open_file};
use crate::stat;

/// What the kernel appends to a path that does not name the file any more.
const DELETED: &[u8] = b" (deleted)";
/// Threads of a process looked through at most, for one through which it can still be seen.
const MAX_THREADS: usize = 16;

/// What `/proc` shows of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What runs; `None` for a kernel thread.
    pub executable: Option<Executable>,
    /// Name of the thread looked at.
    pub comm: Comm,
}

/// A mounted proc filesystem.
#[derive(Clone, Debug)]
pub struct ProcSource {
    root: PathBuf,
}

impl ProcSource {
    /// The one at `root`, as a rule `/proc`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// What `/proc` shows of the process, seen through the thread: when the leader has exited before
    /// the others, nothing of the process can be read through it.
    ///
    /// # Errors
    /// [`ProcError::Ended`] if there is no such process; [`ProcError::Gone`] if it is about to end.
    pub fn snapshot(&self, key: ProcessKey, tid: Tid) -> Result<Snapshot, ProcError> {
        let snapshot = self.unchecked_snapshot(key, tid);
        // Asked last: if the pid is the process's now, it was all along.
        self.check(key)?;
        snapshot
    }

    fn unchecked_snapshot(&self, key: ProcessKey, tid: Tid) -> Result<Snapshot, ProcError> {
        let process = self.root.join(key.pid.to_string());
        let thread = process.join("task").join(tid.to_string());
        let seen = if thread.is_dir() { &thread } else { &process };
        let kernel_thread = stat::parse(&fs::read(process.join("stat"))?)?.kernel_thread;
        let executable = if kernel_thread { None } else { Some(executable(seen)?) };
        let comm = comm(&fs::read(seen.join("comm"))?);
        Ok(Snapshot { executable, comm })
    }

    /// The file behind a mapping of a live process, whatever its name is by now; after an exec another file may be
    /// there.
    ///
    /// # Errors
    /// [`ProcError::Gone`] and [`ProcError::Ended`] for a lost race; [`ProcError::Read`] without the capability for
    /// `map_files`.
    pub fn open_mapped(&self, key: ProcessKey, (start, end): (Pc, Pc)) -> Result<File, ProcError> {
        let range = format!("{:x}-{:x}", start.0, end.0);
        let file = open_file(&self.root.join(key.pid.to_string()).join("map_files").join(range))?;
        self.check(key)?;
        Ok(file)
    }

    /// The file that a live process finds at a path.
    ///
    /// # Errors
    /// As [`open_mapped`](Self::open_mapped).
    pub fn open_as_seen(&self, key: ProcessKey, path: &Path) -> Result<File, ProcError> {
        let process = self.root.join(key.pid.to_string());
        let file = open_below(&process.join("root"), path).or_else(|error| {
            let threads = fs::read_dir(process.join("task"))?.take(MAX_THREADS).flatten();
            let seen = threads.map(|thread| open_below(&thread.path().join("root"), path));
            seen.filter_map(Result::ok).next().ok_or(error)
        })?;
        self.check(key)?;
        Ok(file)
    }

    /// That the pid is still the process's.
    fn check(&self, key: ProcessKey) -> Result<(), ProcError> {
        let stat = fs::read(self.root.join(key.pid.to_string()).join("stat"));
        let stat = stat.map_err(|error| match ProcError::from(error) {
            ProcError::Gone => ProcError::Ended,
            other => other,
        })?;
        if stat::parse(&stat)?.is_start(key.start_time) { Ok(()) } else { Err(ProcError::Ended) }
    }
}

/// What `exe` of `/proc/PID` or `/proc/PID/task/TID` says.
fn executable(seen: &Path) -> Result<Executable, ProcError> {
    let link = seen.join("exe");
    let text = fs::read_link(&link)?.into_os_string().into_vec();
    // Follows the link to the file itself, even if that has no name any more.
    let file = fs::metadata(&link)?;
    let (path, state) = match text.strip_suffix(DELETED) {
        Some(path) if path.starts_with(b"/memfd:") => (path, FileState::Memfd),
        // A file may be called so; one that has lost this name may have others.
        Some(path) if !is_named(&text, &file) => (path, FileState::Deleted),
        _ => (&*text, FileState::Linked),
    };
    let path = Path::new(OsStr::from_bytes(path));
    let root = fs::read_link(seen.join("root"))?;
    let own_path = path.strip_prefix(&root).ok().filter(|_| root != Path::new("/"));
    Ok(Executable {
        path: path.into(),
        own_path: own_path.map(|own| Path::new("/").join(own).into()),
        state,
        device: kernel_device(file.dev()),
        inode: file.ino(),
        mount_namespace: u32::try_from(fs::metadata(seen.join("ns/mnt"))?.ino()).unwrap_or_default(),
        truncated: false,
    })
}

/// True if the file has that name.
fn is_named(name: &[u8], file: &fs::Metadata) -> bool {
    fs::metadata(OsStr::from_bytes(name))
        .is_ok_and(|named| (named.dev(), named.ino()) == (file.dev(), file.ino()))
}

fn comm(text: &[u8]) -> Comm {
    let mut comm = Comm::default();
    let name = text.strip_suffix(b"\n").unwrap_or(text);
    comm.0.iter_mut().take(15).zip(name).for_each(|(to, from)| *to = *from);
    comm
}

#[cfg(test)]
mod tests;
