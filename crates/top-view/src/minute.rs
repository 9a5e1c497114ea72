//! A second as a history holds it, and the length of the minute.

use profile_seconds::{CallKind, ProcessId};
use terminal::FunctionId;

/// Seconds that a history holds.
pub const SECONDS: u64 = 60;
/// Nanoseconds of a second.
pub(crate) const NANOS: u64 = 1_000_000_000;

/// A second as a history holds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldSecond {
    /// Number of the second, counted from the start of the kernel's clock.
    pub(crate) number: u64,
    /// Number of seconds before this one that were not sent: they are not known to be quiet.
    pub(crate) skipped: u64,
    pub(crate) samples: u64,
    pub(crate) cpu: u64,
    /// Calls, each after its caller.
    pub(crate) calls: Vec<HeldCall>,
    pub(crate) processes: Vec<(ProcessId, u64)>,
    /// Samples that each stage had forwarded by the end of the second, by the stage's kind and id.
    pub(crate) stages: Vec<(String, u64)>,
}

/// A call; its parent is the position of another call plus one, or 0 for the root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldCall {
    pub(crate) parent: u32,
    pub(crate) function: FunctionId,
    pub(crate) kind: CallKind,
    pub(crate) total: u64,
}
