//! The source of facts about processes: the one place that reads `/proc/PID`.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foreignfile::{FilePlace, Files, Found, Opened, ProcessMemory};
use pdata::{Comm, Executable, FileIdentity, FileState, Pc, ProcessKey, Tid};

use crate::error::ProcError;
use crate::identity::kernel_device;
use crate::recent::RecentFiles;
use crate::stat;

/// The mark that the kernel appends to a path that does not name the file any more.
const DELETED: &[u8] = b" (deleted)";
/// Bytes of an environment that are looked through: users may make it as large as they like.
const MAX_ENVIRONMENT: u32 = 1 << 20;
/// Bytes of variables that are taken of one environment: as much as anybody needs for 32 attributes. The variables are
/// kept for as long as the process is known.
const MAX_VARIABLES: usize = 8 << 10;
/// Names of variables taken of one environment.
const MAX_NAMES: usize = 16;
/// Bytes of a process's arguments that are read at most.
const MAX_ARGUMENTS: u32 = 2048;
/// Threads of a process looked through at most, for one through which it can still be seen.
const MAX_THREADS: usize = 16;

/// The program and name that `/proc` shows of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The program that runs; `None` for a kernel thread.
    pub executable: Option<Executable>,
    /// Name of the thread that the process was seen through.
    pub comm: Comm,
}

/// A way to ask the kernel by which identity it knows an open file.
pub trait Identify: fmt::Debug + Send + Sync {
    /// True if the open file has that identity, its generation included; `None` if the kernel does not answer.
    fn is_file(&self, opened: &File, identity: FileIdentity) -> Option<bool>;

    /// The same for a file that a reader has opened, which is asked there if the file is not at hand.
    fn is_opened(&self, opened: &mut Opened<'_>, identity: FileIdentity) -> Option<bool> {
        opened.shared().and_then(|file| self.is_file(file, identity))
    }
}

/// A mounted proc filesystem.
#[derive(Clone, Debug)]
pub struct ProcSource {
    root: PathBuf,
    pub(crate) identify: Option<Arc<dyn Identify>>,
    pub(crate) recent: Arc<RecentFiles>,
}

impl ProcSource {
    /// The proc filesystem at `root`, as a rule `/proc`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), identify: None, recent: RecentFiles::of_this_process() }
    }

    /// Has the kernel verify the files that are opened. Without that, the facts that `stat` shows of them decide.
    #[must_use]
    pub fn verified_by(self, identify: Arc<dyn Identify>) -> Self {
        Self { identify: Some(identify), ..self }
    }

    /// Closes the files that have been [kept](Self::keep) for so long that no stage of this process will need them any
    /// more: an open file keeps its file system from being unmounted. Returns the number of files that are still open.
    pub fn close_old_files(&self) -> usize {
        self.recent.close_old()
    }

    /// Closes all files that have been kept, for the end of the agent, which will not close them when they are old.
    pub fn close_kept_files(&self) {
        self.recent.close_all();
    }

    /// Reads the program and name of the process through the thread: when the leader has exited before the others,
    /// nothing of the process can be read through it.
    ///
    /// # Errors
    /// [`ProcError::Ended`] if there is no such process; [`ProcError::Gone`] if it is about to end.
    pub fn snapshot(&self, files: &mut Files, key: ProcessKey, tid: Tid) -> Result<Snapshot, ProcError> {
        let snapshot = self.unchecked_snapshot(files, key, tid);
        // The process is checked last: if the pid is the process's now, it was all along.
        self.check(key)?;
        snapshot
    }

    fn unchecked_snapshot(
        &self,
        files: &mut Files,
        key: ProcessKey,
        tid: Tid,
    ) -> Result<Snapshot, ProcError> {
        let process = self.process(key);
        let thread = process.join("task").join(tid.to_string());
        let seen = if thread.is_dir() { &thread } else { &process };
        let kernel_thread = stat::parse(&fs::read(process.join("stat"))?)?.kernel_thread;
        let executable = if kernel_thread { None } else { Some(executable(files, seen)?) };
        let comm = comm(&fs::read(seen.join("comm"))?);
        Ok(Snapshot { executable, comm })
    }

    /// Variables of a process's environment that begin with one of `prefixes`, as `KEY=VALUE` each ended by NUL: the
    /// variables that its program was started with, unless it has written over them since. Of several variables of one
    /// name only the first is taken, as by getenv(3), and 8 KiB in all; a variable that does not fit is left out.
    ///
    /// # Errors
    /// Errors of [`snapshot`](Self::snapshot).
    pub fn variables(
        &self,
        files: &mut Files,
        key: ProcessKey,
        tid: Tid,
        prefixes: &[impl AsRef<str>],
    ) -> Result<Vec<u8>, ProcError> {
        let environment = self.strings(files, (key, tid), ProcessMemory::Environ, MAX_ENVIRONMENT)?;
        Ok(wanted(&environment, prefixes))
    }

    /// The first arguments of a process, each ended by NUL, the last possibly cut short: the arguments that its program
    /// was started with, unless it has written over them since.
    ///
    /// # Errors
    /// Errors of [`snapshot`](Self::snapshot).
    pub fn arguments(&self, files: &mut Files, key: ProcessKey, tid: Tid) -> Result<Vec<u8>, ProcError> {
        self.strings(files, (key, tid), ProcessMemory::Cmdline, MAX_ARGUMENTS)
    }

    fn strings(
        &self,
        files: &mut Files,
        (key, tid): (ProcessKey, Tid),
        file: ProcessMemory,
        most: u32,
    ) -> Result<Vec<u8>, ProcError> {
        let process = self.process(key);
        let thread = process.join("task").join(tid.to_string());
        let seen = if thread.is_dir() { &thread } else { &process };
        let read = files.read_memory(seen, file, 0, most);
        // Checked last, as in [`snapshot`](Self::snapshot).
        self.check(key)?;
        Ok(read?)
    }

    /// The mount namespace of a process, by the inode number of its file in nsfs; `None` if the process has ended.
    #[must_use]
    pub fn mount_namespace(&self, key: ProcessKey) -> Option<u64> {
        let namespace = fs::metadata(self.process(key).join("ns/mnt")).ok()?.ino();
        self.check(key).is_ok().then_some(namespace)
    }

    /// The mount namespaces that are the machine's own, as far as they can be seen: that of process 1, and that of this
    /// process, if a service manager has made one for it.
    #[must_use]
    pub fn machines_mount_namespaces(&self) -> Vec<u64> {
        let namespaces = ["1/ns/mnt", "self/ns/mnt"].map(|of| fs::metadata(self.root.join(of)));
        namespaces.into_iter().flatten().map(|namespace| namespace.ino()).collect()
    }

    /// The directory of a process.
    #[must_use]
    pub fn process(&self, key: ProcessKey) -> PathBuf {
        self.root.join(key.pid.to_string())
    }

    /// The link to the file behind a mapping, whatever the file's name is by now. Following the link takes a
    /// capability.
    #[must_use]
    pub fn mapped(&self, key: ProcessKey, (start, end): (Pc, Pc)) -> PathBuf {
        self.process(key).join("map_files").join(format!("{:x}-{:x}", start.0, end.0))
    }

    /// The directories of a process's threads, through which the process can be seen once its leader has exited.
    pub(crate) fn threads(&self, key: ProcessKey) -> Vec<PathBuf> {
        let threads = fs::read_dir(self.process(key).join("task")).into_iter().flatten();
        threads.take(MAX_THREADS).flatten().map(|thread| thread.path()).collect()
    }

    /// Checks that the pid is still the process's: a check after a read shows that the facts read are the process's.
    ///
    /// # Errors
    /// [`ProcError::Ended`] if the pid is not the process's any more.
    pub fn check(&self, key: ProcessKey) -> Result<(), ProcError> {
        let stat = fs::read(self.process(key).join("stat"));
        let stat = stat.map_err(|error| match ProcError::from(error) {
            ProcError::Gone => ProcError::Ended,
            other => other,
        })?;
        if stat::parse(&stat)?.is_start(key.start_time) { Ok(()) } else { Err(ProcError::Ended) }
    }
}

/// The variables that [`ProcSource::variables`] takes of an environment.
fn wanted(environment: &[u8], prefixes: &[impl AsRef<str>]) -> Vec<u8> {
    let is_wanted =
        |variable: &[u8]| prefixes.iter().any(|prefix| variable.starts_with(prefix.as_ref().as_bytes()));
    let name = |variable: &[u8]| variable.iter().position(|&byte| byte == b'=').unwrap_or(variable.len());
    let mut taken = Vec::new();
    let mut names = Vec::new();
    for variable in environment.split(|&byte| byte == 0).filter(|variable| is_wanted(variable)) {
        let Some(name) = variable.get(..name(variable)).filter(|name| !names.contains(name)) else {
            continue;
        };
        // Each variable's name is compared with at most so many others.
        if names.len() >= MAX_NAMES {
            break;
        }
        names.push(name);
        if taken.len() + variable.len() < MAX_VARIABLES {
            taken.extend_from_slice(variable);
            taken.push(0);
        }
    }
    taken
}

/// The executable by the `exe` link of `/proc/PID` or `/proc/PID/task/TID`.
fn executable(files: &mut Files, seen: &Path) -> Result<Executable, ProcError> {
    let link = seen.join("exe");
    let text = fs::read_link(&link)?.into_os_string().into_vec();
    // Follows the link to the file itself, even if the file has no name any more.
    let file = files.look(FilePlace::Link { link: &link, process: seen, device: None })?;
    let (path, state) = match text.strip_suffix(DELETED) {
        Some(path) if path.starts_with(b"/memfd:") => (path, FileState::Memfd),
        // A file may have such a name of its own; a file that has lost this name may have others.
        Some(path) if !is_named(files, &text, &file) => (path, FileState::Deleted),
        _ => (&*text, FileState::Linked),
    };
    let path = Path::new(OsStr::from_bytes(path));
    let root = fs::read_link(seen.join("root"))?;
    let own_path = path.strip_prefix(&root).ok().filter(|_| root != Path::new("/"));
    Ok(Executable {
        path: path.into(),
        own_path: own_path.map(|own| Path::new("/").join(own).into()),
        state,
        device: kernel_device(file.device),
        inode: file.inode,
        mount_namespace: u32::try_from(fs::metadata(seen.join("ns/mnt"))?.ino()).unwrap_or_default(),
        truncated: false,
    })
}

/// True if the file has that name.
fn is_named(files: &mut Files, name: &[u8], file: &Found) -> bool {
    let place = FilePlace::Own { path: Path::new(OsStr::from_bytes(name)), follows_links: false };
    files.look(place).is_ok_and(|named| (named.device, named.inode) == (file.device, file.inode))
}

fn comm(text: &[u8]) -> Comm {
    let mut comm = Comm::default();
    let name = text.strip_suffix(b"\n").unwrap_or(text);
    comm.0.iter_mut().take(15).zip(name).for_each(|(to, from)| *to = *from);
    comm
}

#[cfg(test)]
mod tests;
