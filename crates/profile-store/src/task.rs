//! Threads of samples, and their processes.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use pdata::ProcessKey;

/// A process as a caller passes it to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessText<'a> {
    /// The process's pid and start.
    pub key: ProcessKey,
    /// The process's executable: a path, or a name in brackets.
    pub executable: &'a str,
}

/// A thread as a caller passes it to the store, with its container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskText<'a> {
    /// The process that the thread is part of.
    pub process: ProcessText<'a>,
    /// The thread's number.
    pub tid: u32,
    /// The thread's name.
    pub thread: &'a str,
    /// The thread's container or control group; empty if there is none.
    pub container: &'a str,
}

/// A thread as a block holds it: its names are in the patterns of its samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TaskRow {
    pub process: u32,
    pub tid: u32,
}

/// A process as a block holds it. The key alone distinguishes it.
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
