//! Jobs of the thread that looks up lines.

use std::sync::Arc;
use std::time::Duration;

use bytesource::OpenFile;
use pdata::{Lines, MappedFile, Pc, ProcessKey};
use symbolize::Demangle;

use crate::fair::User;
use crate::request::Space;

/// The longest time for which lines of one file are looked up before the file of another user has
/// its turn.
pub(crate) const TURN: Duration = Duration::from_secs(1);
/// Addresses of a file whose lines are wanted.
#[derive(Debug)]
pub(crate) struct LineJob {
    /// Ticket of the request that the addresses are part of.
    pub(crate) ticket: u64,
    pub(crate) space: Space,
    pub(crate) file: Arc<MappedFile>,
    pub(crate) process: ProcessKey,
    pub(crate) range: (Pc, Pc),
    pub(crate) user: User,
    pub(crate) source: LineSource,
    pub(crate) addresses: Vec<NamedAddress>,
}

/// An address that has a name, and is to have lines.
#[derive(Debug)]
pub(crate) struct NamedAddress {
    /// The address in the terms of the request: an offset of the file.
    pub(crate) offset: u64,
    /// The address in the terms of the file's own symbols.
    pub(crate) address: u64,
    pub(crate) name: Arc<Lines>,
}

/// The file with the debug information.
#[derive(Clone, Debug)]
pub(crate) enum LineSource {
    /// The file itself, if it is held open; `None` if it has to be opened.
    Own(Option<Arc<OpenFile>>),
    /// The debug file of a stripped file, installed by root.
    Debug(Arc<OpenFile>),
    /// The debug file of a stripped file, from a server.
    Fetched(Arc<OpenFile>),
}

/// Settings for reading lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineSettings {
    pub(crate) max_bytes: usize,
    pub(crate) demangle: Demangle,
}
