//! A second as it is held, and where the minute ends.

use profile_seconds::{CallKind, ProcessId};
use terminal::FunctionId;

/// Seconds that are held.
pub const SECONDS: u64 = 60;
/// Nanoseconds of a second.
pub(crate) const NANOS: u64 = 1_000_000_000;

/// A second as it is held.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldSecond {
    /// Counted from the start of the kernel's clock.
    pub(crate) number: u64,
    /// Seconds before it that were not sent: they are not known to be quiet.
    pub(crate) skipped: u64,
    pub(crate) samples: u64,
    pub(crate) cpu: u64,
    /// Each after its caller.
    pub(crate) calls: Vec<HeldCall>,
    pub(crate) processes: Vec<(ProcessId, u64)>,
    /// Samples that each stage has passed on until then, by the stage's kind and id.
    pub(crate) stages: Vec<(String, u64)>,
}

/// A call, of which the parent is the place of another plus one; 0 is the root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldCall {
    pub(crate) parent: u32,
    pub(crate) function: FunctionId,
    pub(crate) kind: CallKind,
    pub(crate) total: u64,
}
