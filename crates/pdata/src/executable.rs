//! The executable: the file that a process runs.

use std::path::Path;

/// The file that a process runs, as the kernel knew it at the event that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// Resolved absolute path up to the root of the mount namespace that holds the file: what
    /// `readlink /proc/PID/exe` shows outside a chroot, without a mark such as ` (deleted)`.
    /// Source: dentry and mount walk of `mm->exe_file` in `ebpf/path.bpf.h`.
    pub path: Box<Path>,
    /// The path as the process itself sees it if its root differs (chroot); else `None`.
    pub own_path: Option<Box<Path>>,
    /// Whether the path still names the file.
    pub state: FileState,
    /// Device of the file, as in `super_block::s_dev` (20 bits of minor).
    pub device: u32,
    /// Inode number on that device.
    pub inode: u64,
    /// Inode number of the mount namespace the process was in.
    pub mount_namespace: u32,
    /// True if the path was longer than the kernel side can hold; `path` is then its tail.
    pub truncated: bool,
}

impl Executable {
    /// A file that is linked at `path`, of which nothing else is known.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.into(),
            own_path: None,
            state: FileState::Linked,
            device: 0,
            inode: 0,
            mount_namespace: 0,
            truncated: false,
        }
    }
}

/// Whether a path still names the file that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FileState {
    /// The path is a name of the file.
    #[default]
    Linked,
    /// The name by which the file was opened was gone: `path` is that name. The file may have others (hard links). As
    /// the kernel marks `/proc/PID/exe` with ` (deleted)`.
    Deleted,
    /// The file never had a name: `memfd_create(2)`. `path` is `/memfd:NAME`.
    Memfd,
}

impl FileState {
    /// The state's name in outputs; `None` while the path names the file.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Linked => None,
            Self::Deleted => Some("deleted"),
            Self::Memfd => Some("memfd"),
        }
    }
}
