//! The opening of files that processes have mapped, in whose place those processes may have put anything.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use foreignfile::{FilePlace, Files, Found, Mount, Mounts, Opened, Refusal};
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
            let mut opened = files.open_kept(kept, within);
            self.verify(&mut opened, file.identity, Likeness::Same)?;
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
        let (seen, likeness) = (MountsSeen::default(), Cell::new(Likeness::None));
        let mut opened = files.open_first(places, within, |found, place| {
            likeness.set(compare(found, file, place, &seen));
            likeness.get() != Likeness::None
        })?;
        self.verify(&mut opened, file.identity, likeness.get())?;
        Ok(opened)
    }

    /// True if the agent itself sees the mapped file at its path: the directory there is the one that the file is in,
    /// also once no process shows it. Nothing is opened.
    #[must_use]
    pub fn is_at_its_path(&self, files: &mut Files, file: &MappedFile) -> bool {
        let own = FilePlace::Own { path: &file.path, follows_links: false };
        let likeness = files.look(own).map(|found| compare(&found, file, own, &MountsSeen::default()));
        matches!(likeness, Ok(Likeness::Same))
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
    /// without [`verified_by`](Self::verified_by), and for a file that cannot be mapped, unless that is of an overlay.
    fn verify(
        &self,
        opened: &mut Opened<'_>,
        identity: FileIdentity,
        likeness: Likeness,
    ) -> Result<(), Refusal> {
        let word = self.identify.as_ref().and_then(|identify| identify.is_opened(opened, identity));
        match (word, likeness) {
            (Some(true), _) | (None, Likeness::Same) => Ok(()),
            (Some(false) | None, _) => Err(Refusal::Unwanted),
        }
    }

    /// Asks the kernel whether it knows an open file by that identity. The check passes if the kernel cannot be asked:
    /// without [`verified_by`](Self::verified_by), and for a file that cannot be mapped.
    ///
    /// # Errors
    /// [`Refusal::Unwanted`] if the open file is another, or has been written to.
    pub fn verify_file(&self, file: &File, identity: FileIdentity) -> Result<(), Refusal> {
        match self.identify.as_ref().and_then(|identify| identify.is_file(file, identity)) {
            Some(false) => Err(Refusal::Unwanted),
            Some(true) | None => Ok(()),
        }
    }
}

/// The likeness of a found file and the one that the kernel met in a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// They differ.
    None,
    /// Inode number, time of the last change, size and device are the same.
    Same,
    /// The found file is of an overlay, and the kernel knows it by the layer that it is in: stat(2) shows another
    /// device there, and often another inode number. Time of the last change and size are the same, which anybody can
    /// set, so only the kernel can say.
    OfOverlay,
}

/// Compares the found file with the one that the kernel met in a mapping.
fn compare(found: &Found, file: &MappedFile, place: FilePlace<'_>, mounts: &MountsSeen) -> Likeness {
    let (seconds, nanos) = found.modified;
    if (kernel_time(seconds, nanos), found.size) != (file.identity.modified, file.size) {
        return Likeness::None;
    }
    let is_inode = found.inode == file.identity.inode;
    if is_inode && kernel_device(found.device) == file.identity.device {
        return Likeness::Same;
    }
    // A subvolume shows a device of its own; the list of mounts has the device by which the kernel knows it.
    let process = match place {
        FilePlace::Link { process, .. } | FilePlace::Seen { process, .. } => process,
        FilePlace::Own { .. } => Path::new(OWN),
    };
    let mount = [process, Path::new(OWN)].iter().find_map(|process| mounts.find(process, found.mount));
    let is_same = match mount {
        Some(mount) if mount.kind == "overlay" => return Likeness::OfOverlay,
        Some(mount) => mount.device == device_numbers(file.identity.device),
        // The mount has been detached since: only a link to the process's own mapping leads to its files.
        None => matches!(place, FilePlace::Link { .. }),
    };
    if is_same && is_inode { Likeness::Same } else { Likeness::None }
}

/// Lists of mounts that have been read for one file: they can be long, and several places are looked at.
#[derive(Debug, Default)]
struct MountsSeen(RefCell<Vec<(PathBuf, Mounts)>>);

impl MountsSeen {
    /// The mount of that number that the process sees; `None` if there is none.
    fn find(&self, process: &Path, mount: u64) -> Option<Mount> {
        let mut seen = self.0.borrow_mut();
        let at = seen.iter().position(|(of, _)| of == process).unwrap_or_else(|| {
            seen.push((process.to_owned(), Mounts::of(process).unwrap_or_default()));
            seen.len() - 1
        });
        seen.get(at)?.1.by_id(mount).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "31 22 0:27 / /srv rw - overlay overlay rw,lowerdir=/a\n32 22 0:30 / /sub rw - btrfs /dev/vdb rw\n";

    /// Of an overlay only the kernel knows the layer's device and inode number; of all others they have to be the same,
    /// the device at least in the list of mounts.
    #[test]
    fn the_device_and_the_inode_number_count_but_for_an_overlay() {
        let process = tempfile::tempdir().unwrap();
        fs::write(process.path().join("mountinfo"), LIST).unwrap();
        let place = FilePlace::Seen { process: process.path(), path: Path::new("/srv/program") };
        let (overlay, subvolume) = (31, 32);
        let identity =
            FileIdentity { device: 30, inode: 7, modified: kernel_time(5, 6), ..FileIdentity::default() };
        let file = MappedFile { identity, size: 9, ..MappedFile::at(Path::new("/srv/program")) };
        let found = Found { device: 30, inode: 7, size: 9, modified: (5, 6), ..Found::default() };
        let compare = |found: Found| compare(&found, &file, place, &MountsSeen::default());
        assert_eq!(compare(found), Likeness::Same);
        let elsewhere = Found { device: 77, ..found };
        assert_eq!(compare(Found { mount: subvolume, ..elsewhere }), Likeness::Same);
        assert_eq!(compare(Found { mount: subvolume, inode: 8, ..elsewhere }), Likeness::None);
        assert_eq!(compare(Found { mount: overlay, inode: 8, ..elsewhere }), Likeness::OfOverlay);
        assert_eq!(compare(Found { mount: overlay, size: 8, ..elsewhere }), Likeness::None);
        assert_eq!(compare(Found { mount: overlay, modified: (5, 7), ..elsewhere }), Likeness::None);
        assert_eq!(compare(Found { mount: u64::MAX, ..elsewhere }), Likeness::None, "no such mount");
    }

    /// Who is asked for a file.
    #[derive(Clone, Copy)]
    enum Asked {
        Kernel(Option<bool>),
        Nobody,
    }

    /// The kernel's word for a file, or none.
    #[derive(Debug)]
    struct Word(Option<bool>);

    impl crate::source::Identify for Word {
        fn is_file(&self, _opened: &File, _identity: FileIdentity) -> Option<bool> {
            self.0
        }
    }

    /// Time of the last change and size are whatever a file's owner wants, so that a file of an overlay is not taken
    /// for another by them alone.
    #[test]
    fn a_file_of_an_overlay_needs_the_kernel_s_word() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "code").unwrap();
        let is_taken = |word, likeness| {
            let source = ProcSource::new("/proc");
            let source = match word {
                Asked::Kernel(word) => source.verified_by(std::sync::Arc::new(Word(word))),
                Asked::Nobody => source,
            };
            let mut files = Files::new(std::sync::Arc::default());
            let place = FilePlace::Own { path: file.path(), follows_links: true };
            let mut opened = files.open(place, Duration::from_secs(60), |_| true).unwrap();
            source.verify(&mut opened, FileIdentity::default(), likeness).is_ok()
        };
        let yes = Asked::Kernel(Some(true));
        assert!(is_taken(yes, Likeness::OfOverlay) && is_taken(yes, Likeness::Same));
        let no = Asked::Kernel(Some(false));
        assert!(!is_taken(no, Likeness::OfOverlay) && !is_taken(no, Likeness::Same));
        for silent in [Asked::Kernel(None), Asked::Nobody] {
            assert!(!is_taken(silent, Likeness::OfOverlay) && is_taken(silent, Likeness::Same));
        }
    }
}
