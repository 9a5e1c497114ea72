//! The opening of files that processes have mapped, in whose place those processes may have put anything.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use foreignfile::{FilePlace, Files, Found, Mounts, Opened, Refusal};
use pdata::{FileIdentity, MappedFile, Pc, ProcessKey};

use crate::identity::{device_numbers, kernel_device, kernel_time};
use crate::source::ProcSource;

/// The agent's own directory in `/proc`.
const OWN: &str = "/proc/self";

impl ProcSource {
    /// Opens a file that a process had mapped at `range`, whether or not the process is still there: the mapped file
    /// itself, or the file of its name, to the process and to us, if that has the same identity. A file that another
    /// stage of this process [keeps](Self::keep) is taken without looking for it. All of the file is to be read
    /// `within` that time.
    ///
    /// # Errors
    /// The reason why the file cannot be read.
    pub fn open_mapped<'a>(
        &self,
        files: &'a mut Files,
        (key, range): (ProcessKey, (Pc, Pc)),
        file: &MappedFile,
        within: Duration,
    ) -> Result<Opened<'a>, Refusal> {
        if let Some(kept) = self.recent.find(file.identity) {
            let opened = files.open_kept(kept, within);
            self.verify(&opened, file.identity)?;
            return Ok(opened);
        }
        let process = &self.process(key);
        let device = Some(device_numbers(file.identity.device));
        let (mapped, executable) = (self.mapped(key, range), process.join("exe"));
        let path = file.own_path.as_ref().unwrap_or(&file.path);
        // Read, not followed: the root may be on a file system that does not answer.
        let seen_by_leader = fs::read_link(process.join("root")).is_ok();
        let threads = if seen_by_leader { Vec::new() } else { self.threads(key) };
        // Following a link to a mapped file takes a capability; the link to the executable can be followed without.
        let links = [&mapped, &executable].map(|link| FilePlace::Link { link, process, device });
        // Each place is a question to another process: none is asked of a process that has gone.
        let links = links.into_iter().filter(|_link| seen_by_leader || !threads.is_empty());
        let leader = seen_by_leader.then_some(process);
        let seen = leader.into_iter().chain(&threads).map(|process| FilePlace::Seen { process, path });
        let own = FilePlace::Own { path: &file.path, follows_links: false };
        let places = links.chain(seen).chain([own]);
        let seen = MountsSeen::default();
        let opened = files.open_first(places, within, |found, place| is_file(found, file, place, &seen))?;
        self.verify(&opened, file.identity)?;
        Ok(opened)
    }

    /// True if the agent itself sees the mapped file at its path: the directory there is the one that the file is in,
    /// also once no process shows it. Nothing is opened.
    #[must_use]
    pub fn is_at_its_path(&self, files: &mut Files, file: &MappedFile) -> bool {
        let own = FilePlace::Own { path: &file.path, follows_links: false };
        files.look(own).is_ok_and(|found| is_file(&found, file, own, &MountsSeen::default()))
    }

    /// True if the files that a process sees can be seen through it: false for one that has ended or is about to.
    #[must_use]
    pub fn shows_files(&self, key: ProcessKey) -> bool {
        fs::read_link(self.process(key).join("root")).is_ok() && self.check(key).is_ok()
    }

    /// Keeps a file open that [`open_mapped`](Self::open_mapped) has opened, for the other stages of this process that
    /// will want to read it: by then it may be gone. A caller also calls [`close_old_files`](Self::close_old_files)
    /// from time to time.
    pub fn keep(&self, file: &MappedFile, opened: &Opened<'_>) {
        self.recent.keep(file.identity, opened);
    }

    /// Asks the kernel whether it knows an open file by that identity. The check passes if the kernel cannot be asked:
    /// without [`verified_by`](Self::verified_by), and for a file that is not at hand.
    ///
    /// # Errors
    /// [`Refusal::Unwanted`] if the open file is another, or has been written to.
    pub fn verify(&self, opened: &Opened<'_>, identity: FileIdentity) -> Result<(), Refusal> {
        opened.shared().map_or(Ok(()), |file| self.verify_file(file, identity))
    }

    /// Asks the same as [`verify`](Self::verify), for a file at hand.
    ///
    /// # Errors
    /// Errors of [`verify`](Self::verify).
    pub fn verify_file(&self, file: &File, identity: FileIdentity) -> Result<(), Refusal> {
        match self.identify.as_ref().and_then(|identify| identify.is_file(file, identity)) {
            Some(false) => Err(Refusal::Unwanted),
            Some(true) | None => Ok(()),
        }
    }
}

/// True if the found file is the one that the kernel met in a mapping: by inode number, time of the last change, size
/// and device.
fn is_file(found: &Found, file: &MappedFile, place: FilePlace<'_>, mounts: &MountsSeen) -> bool {
    let (seconds, nanos) = found.modified;
    if (found.inode, kernel_time(seconds, nanos), found.size)
        != (file.identity.inode, file.identity.modified, file.size)
    {
        return false;
    }
    if kernel_device(found.device) == file.identity.device {
        return true;
    }
    // An overlay and a subvolume each show a device of their own; the list of mounts has the device by which the kernel
    // knows them.
    let process = match place {
        FilePlace::Link { process, .. } | FilePlace::Seen { process, .. } => process,
        FilePlace::Own { .. } => Path::new(OWN),
    };
    let device = [process, Path::new(OWN)].iter().find_map(|process| mounts.device(process, found.mount));
    match device {
        Some(device) => device == device_numbers(file.identity.device),
        // The mount has been detached since: only a link to the process's own mapping leads to its files.
        None => matches!(place, FilePlace::Link { .. }),
    }
}

/// Lists of mounts that have been read for one file: they can be long, and several places are looked at.
#[derive(Debug, Default)]
struct MountsSeen(RefCell<Vec<(PathBuf, Mounts)>>);

impl MountsSeen {
    /// The device of a mount of the process, as the kernel knows it; `None` if there is no such mount.
    fn device(&self, process: &Path, mount: u64) -> Option<(u32, u32)> {
        let mut seen = self.0.borrow_mut();
        let at = seen.iter().position(|(of, _)| of == process).unwrap_or_else(|| {
            seen.push((process.to_owned(), Mounts::of(process).unwrap_or_default()));
            seen.len() - 1
        });
        seen.get(at)?.1.by_id(mount).map(|mount| mount.device)
    }
}
