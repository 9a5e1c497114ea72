//! Origins: the sources that may not answer, with their names.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::mounts::Mounts;
use crate::place::{FilePlace, OWN};
use crate::quarantine::Source;

/// A source that may not answer, with the facts from which its name can be found then.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    /// The process that sees the source, by its directory in `/proc`.
    pub(crate) process: PathBuf,
    /// The mount that is the source, if it is known.
    pub(crate) mount: Option<u64>,
}

impl Origin {
    /// The origin of all that lies on the way to a place.
    pub(crate) fn of_way(place: FilePlace<'_>) -> Self {
        let (process, path) = match place {
            FilePlace::Link { process, device, .. } => {
                // A link of `/proc` is no path: no file system is asked but the file's own.
                let source = match device {
                    Some((major, minor)) => Source::Device(rustix::fs::makedev(major, minor)),
                    None => Source::Process(inode(process)),
                };
                return Self { source, process: process.to_owned(), mount: None };
            }
            FilePlace::Seen { process, path } => (process, path),
            FilePlace::Own { path, .. } => (Path::new(OWN), path),
        };
        let namespace = inode(&process.join("ns/mnt"));
        let mounts = Mounts::of(process).unwrap_or_default();
        let mount = mounts.by_path(path);
        let device = mount.map_or((0, 0), |mount| mount.device);
        let source = Source::Paths { namespace, device };
        Self { source, process: process.to_owned(), mount: mount.map(|mount| mount.id) }
    }

    /// The source's name in messages, escaped: the user who mounts a file system chooses what its place is called.
    pub(crate) fn name(&self) -> String {
        let device = match self.source {
            Source::Device(device) => (rustix::fs::major(device), rustix::fs::minor(device)),
            Source::Paths { device, .. } => device,
            Source::Process(_) => return format!("that of what {} leads to", self.process.display()),
        };
        let (major, minor) = device;
        for process in [&*self.process, Path::new(OWN)] {
            let mounts = Mounts::of(process).unwrap_or_default();
            let by_id = self.mount.and_then(|id| mounts.by_id(id));
            if let Some(mount) = by_id.or_else(|| mounts.by_device(device)) {
                let (kind, point) = (mount.kind.escape_debug(), mount.point.as_os_str().to_string_lossy());
                return format!("{kind} at {:?} (device {major}:{minor})", &*point);
            }
        }
        format!("device {major}:{minor}")
    }
}

/// The inode of an entry of `/proc`; 0 if it is gone.
fn inode(entry: &Path) -> u64 {
    fs::metadata(entry).map_or(0, |entry| entry.ino())
}
