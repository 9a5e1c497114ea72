//! Events beside samples.

use pdata::UnixNanos;

use super::process::{Process, ProcessRef};
use crate::table::Id;

/// Something that happened at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The instant, by the wall clock.
    pub at: UnixNanos,
    /// To whom; `None` of a loss, which is of the whole machine.
    pub process: Option<Id<Process>>,
    /// The event.
    pub kind: MarkerKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerKind {
    /// The process became another program: the one that its entry describes.
    Exec,
    /// The process was made.
    Fork {
        /// By this one.
        parent: ProcessRef,
    },
    /// The process ended.
    Exit,
    /// Records were lost.
    Loss {
        /// The reason why the records were lost.
        reason: Id<str>,
        /// How many.
        count: u64,
        /// Since when; until the marker's instant.
        since: UnixNanos,
    },
}
