//! The user who answers for a file.

use pdata::Uid;

/// The user who answers for the rules that a file needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    /// The user who owns the file; `None` if nobody vouches for that.
    pub(crate) user: Option<Uid>,
    /// The mount namespace of the process that was met with the file, if its user is root or not known: root of a
    /// container is not root of another. Any other user is the same in all namespaces, of which it may have many.
    pub(crate) mount_namespace: Option<u64>,
    /// True for root in the mount namespace of the machine, or of the agent.
    pub(crate) is_root: bool,
}
