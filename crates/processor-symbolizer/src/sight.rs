//! Where a file was met.

use pdata::{MappedFile, Pc, ProcessKey};

/// A file as a process has it mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) file: &'a MappedFile,
    pub(crate) process: ProcessKey,
    pub(crate) range: (Pc, Pc),
}
