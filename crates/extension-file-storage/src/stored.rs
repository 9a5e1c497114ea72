//! Requests that a file holds, and their names.

use std::time::Duration;

use thiserror::Error;

/// Names a request in the file, for as long as its client lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub(crate) u64);

/// A request that an earlier client has left in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name from now on.
    pub handle: Handle,
    /// Samples in it.
    pub samples: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Time since it was made, by a clock that does not jump; zero if that cannot be known.
    pub age: Duration,
}

/// The file cannot be read now: it is tried again with the next request, but not more than once a second,
/// less often if it takes long to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the file of the queue cannot be read now")]
pub struct Unavailable;

/// Whether a request has come to be in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is there for good.
    Durably,
    /// It is not: the disk is full, or broken. It will not be tried again.
    Not,
}
