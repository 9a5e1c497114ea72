//! Contexts: the surroundings of a thread at a sample, which may differ between samples of one image.

use std::path::Path;
use std::sync::Arc;

/// Number of a [`Cgroup`], assigned by the kernel side of the receiver when it first meets one, and never assigned
/// again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CgroupId(pub u32);

/// The control groups of a thread, as the kernel had them: their paths are those of that instant, even if the groups
/// have gone since.
///
/// Two hierarchies are looked at, since on many hosts only one of them says something: version 2, and one controller's
/// of version 1 where that is in use.
/// Source: a walk of kernfs nodes in `ebpf/cgroup.bpf.h`, which no namespace changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// The number that names both paths.
    pub id: CgroupId,
    /// Path in the hierarchy of version 2; `/` for its root.
    pub path: Box<Path>,
    /// Path in a hierarchy of version 1; `None` if the thread is in the root of all of them that are looked at.
    pub legacy_path: Option<Box<Path>>,
    /// True if either path was too long for the kernel side, and lacks its beginning.
    pub truncated: bool,
}

/// A user, by number, as the host's user namespace has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

/// The surroundings of a thread. A context belongs to the image for all that readers see, but an image can change it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The thread's control groups; `None` if they could not be announced, which is counted.
    pub cgroup: Option<Arc<Cgroup>>,
    /// The effective user. Source: `task_struct::cred->euid`.
    pub user: Option<Uid>,
}

/// Identity of a [`Context`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextKey {
    cgroup: Option<CgroupId>,
    user: Option<Uid>,
}

impl Context {
    /// The context's identity: contexts of one identity are equal.
    #[must_use]
    pub fn key(&self) -> ContextKey {
        ContextKey { cgroup: self.cgroup.as_ref().map(|cgroup| cgroup.id), user: self.user }
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Context {}
