//! Who ran: threads and their processes.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use pdata::ProcessKey;

/// A process as it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessText<'a> {
    /// Which one.
    pub key: ProcessKey,
    /// What it runs: a path, or a name in brackets.
    pub executable: &'a str,
}

/// A thread as it comes, and where it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskText<'a> {
    /// The process that it is part of.
    pub process: ProcessText<'a>,
    /// Its number.
    pub tid: u32,
    /// Its name.
    pub thread: &'a str,
    /// The container or control group that it is in; empty if there is none.
    pub container: &'a str,
}

/// A thread as it is held: its names are its samples' patterns'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TaskRow {
    pub process: u32,
    pub tid: u32,
}

/// A process as it is held. The key alone distinguishes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessRow {
    pub key: ProcessKey,
    pub executable: u32,
    /// Number of the parent's row.
    pub parent: Option<u32>,
}

impl PartialEq for ProcessRow {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for ProcessRow {}

impl Hash for ProcessRow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Borrow<ProcessKey> for ProcessRow {
    fn borrow(&self) -> &ProcessKey {
        &self.key
    }
}
