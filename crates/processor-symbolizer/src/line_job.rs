//! What is asked of the thread that looks up lines.

use std::sync::Arc;
use std::time::Duration;

use bytesource::OpenFile;
use pdata::{Lines, MappedFile, Pc, ProcessKey};
use symbolize::Demangle;

use crate::fair::User;
use crate::request::Space;

/// Longest that lines of one file are looked up before the file of another user has its turn.
pub(crate) const TURN: Duration = Duration::from_secs(1);
/// Addresses of a file whose lines are wanted.
#[derive(Debug)]
pub(crate) struct LineJob {
    /// The request that they are part of.
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
    /// The address as it was asked for: an offset of the file.
    pub(crate) offset: u64,
    /// The same, as the file's own symbols have it.
    pub(crate) address: u64,
    pub(crate) name: Arc<Lines>,
}

/// Where the debug information is.
#[derive(Clone, Debug)]
pub(crate) enum LineSource {
    /// In the file itself, which is held open; or else it is opened.
    Own(Option<Arc<OpenFile>>),
    /// In the file that has what the file was stripped of.
    Debug(Arc<OpenFile>),
}

/// How lines are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineSettings {
    pub(crate) max_bytes: usize,
    pub(crate) demangle: Demangle,
}
