//! Events beside samples.

use pdata::UnixNanos;

use super::process::{Process, ProcessRef};
use crate::table::Id;

/// An event of a process, or a loss of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The instant of the event, by the wall clock.
    pub at: UnixNanos,
    /// The process of the event; `None` for a loss, which is of the whole machine.
    pub process: Option<Id<Process>>,
    /// The kind of the event.
    pub kind: MarkerKind,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerKind {
    /// The process became another program, which its entry in the table describes.
    Exec,
    /// Another process made the process.
    Fork {
        /// The process that made it.
        parent: ProcessRef,
    },
    /// The process ended.
    Exit,
    /// Records were lost.
    Loss {
        /// The reason why the records were lost.
        reason: Id<str>,
        /// Number of lost records.
        count: u64,
        /// Start of the span of the loss; the marker's instant is its end.
        since: UnixNanos,
    },
}
