//! Stopwatches: the time that a processor itself works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use componentstatus::Stage;
use metrics::Histogram;

/// Takes the time that a processor works on a batch itself, without the stages after it. A processor does its work
/// before its `call` returns: the time is that of `call`, less that of the next stage's `call` within it.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    taken: Histogram,
    shown: Option<Arc<Stage>>,
    /// Nanoseconds spent in the stages after the processor, since the batch came.
    elsewhere: Arc<AtomicU64>,
}

impl Stopwatch {
    /// A stopwatch that records times, in seconds, to `taken`.
    #[must_use]
    pub fn new(taken: Histogram) -> Self {
        Self { taken, shown: None, elsewhere: Arc::default() }
    }

    /// Adds the times to those of `stage` on the board, too.
    #[must_use]
    pub fn shows(self, stage: &Arc<Stage>) -> Self {
        Self { shown: Some(Arc::clone(stage)), ..self }
    }

    /// Records the time of the processor, whose `call` has taken `taken` with the stages after it.
    pub(crate) fn record(&self, taken: Duration) {
        let elsewhere = Duration::from_nanos(self.elsewhere.swap(0, Ordering::Relaxed));
        let worked = taken.saturating_sub(elsewhere);
        self.taken.record(worked);
        if let Some(stage) = &self.shown {
            stage.worked(worked);
        }
    }

    /// Leaves out `taken`, which the stage after the processor took.
    pub(crate) fn leave_out(&self, taken: Duration) {
        let nanos = u64::try_from(taken.as_nanos()).unwrap_or(u64::MAX);
        self.elsewhere.fetch_add(nanos, Ordering::Relaxed);
    }
}
