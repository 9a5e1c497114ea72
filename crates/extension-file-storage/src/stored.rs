//! Requests that a file holds, and their handles.

use std::time::Duration;

use thiserror::Error;

/// Names a request in the file, for as long as its client lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub(crate) u64);

/// A request that an earlier client has left in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Handle of the request from now on.
    pub handle: Handle,
    /// Samples in the request.
    pub samples: u64,
    /// Length of the request in bytes.
    pub bytes: u64,
    /// Time since the request was made, by a clock that does not jump; zero if that cannot be known.
    pub age: Duration,
}

/// The file cannot be read now: it is tried again with the next request, but not more than once a second,
/// less often if it takes long to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the file of the queue cannot be read now")]
pub struct Unavailable;

/// Whether a request is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The request is in the file for good.
    Durably,
    /// The request is not in the file: the disk is full, or broken. It will not be tried again.
    Not,
}
