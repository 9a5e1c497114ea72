//! Bounds on what a slow exporter can cost.

use std::time::Duration;

/// Most memory queued for one exporter: half a minute of two CPUs at 997 samples a second.
const DEFAULT_QUEUE_BYTES: usize = 64 << 20;
/// The longest time that an exporter may take to become ready and answer.
const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// Bounds on what a slow exporter can cost.
#[derive(Clone, Copy, Debug)]
pub struct SinkBounds {
    /// Most bytes of batches queued for one exporter, the batch that it works on included. A batch that is larger fits
    /// into an empty queue.
    pub queue_bytes: usize,
    /// The longest time of a call: one that takes longer is cancelled, and its samples are given up.
    pub give_up_after: Duration,
}

impl Default for SinkBounds {
    fn default() -> Self {
        Self { queue_bytes: DEFAULT_QUEUE_BYTES, give_up_after: DEFAULT_GIVE_UP_AFTER }
    }
}
