//! The sight of a file: the process and the mapping in which it was met.

use pdata::{MappedFile, Pc, ProcessKey};

use crate::fair::User;

/// A file as a process has it mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) file: &'a MappedFile,
    pub(crate) process: ProcessKey,
    pub(crate) range: (Pc, Pc),
    /// The user who runs the process.
    pub(crate) user: User,
}
