//! Where a file was met.

use pdata::{MappedFile, Pc, ProcessKey};

use crate::fair::User;

/// A file as a process has it mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) file: &'a MappedFile,
    pub(crate) process: ProcessKey,
    pub(crate) range: (Pc, Pc),
    /// Who runs the process.
    pub(crate) user: User,
}
