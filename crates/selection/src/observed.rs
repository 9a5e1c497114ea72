//! Counts of the samples that a recording has come across so far.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pdata::KTime;

/// Counts and watermark of a recording so far, for programs that show its progress.
#[derive(Debug, Default)]
pub struct Observed {
    kept: AtomicU64,
    others: AtomicU64,
    lost: AtomicU64,
    watermark: AtomicU64,
    ended: AtomicBool,
}

impl Observed {
    /// Number of samples that belong to the recording.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Number of samples of other processes on the machine.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    /// Number of the machine's samples that were lost; it is not known whether they belong to the recording.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// The watermark of the last batch.
    #[must_use]
    pub fn watermark(&self) -> KTime {
        KTime::from_nanos(self.watermark.load(Ordering::Relaxed))
    }

    /// True once every process that the recording is of has begun to exit.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, kept: u64, others: u64, lost: u64) {
        self.kept.fetch_add(kept, Ordering::Relaxed);
        self.others.fetch_add(others, Ordering::Relaxed);
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }

    pub(crate) fn reached(&self, watermark: KTime, ended: bool) {
        self.watermark.store(watermark.as_nanos(), Ordering::Relaxed);
        self.ended.store(ended, Ordering::Relaxed);
    }
}
