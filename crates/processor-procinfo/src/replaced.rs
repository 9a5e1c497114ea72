//! Processes with replaced images, and the times at which those may be forgotten.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pdata::{KTime, ProcessKey, Watermark};

use crate::table::{Limits, units};

/// Replaced images of live processes, by the instant at which they may be forgotten. They are bounded like exited
/// processes, since an exporter may stall while a process execs again and again.
#[derive(Debug)]
pub(crate) struct Replaced {
    due: BinaryHeap<Reverse<(KTime, ProcessKey, usize)>>,
    /// Number of processes as which the images count together.
    units: usize,
    limits: Limits,
}

impl Replaced {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { due: BinaryHeap::new(), units: 0, limits }
    }

    /// Adds an image of the process that was replaced at `at`, and holds `bytes` bytes.
    pub(crate) fn push(&mut self, at: KTime, key: ProcessKey, bytes: usize) {
        let units = units(bytes);
        self.units += units;
        self.due.push(Reverse((at, key, units)));
    }

    /// The next process with a replacement that the acked watermark has reached, and the instant of the replacement.
    pub(crate) fn pop_acked(&mut self, acked: Watermark) -> Option<(KTime, ProcessKey)> {
        self.pop_if(|at| at <= acked.at())
    }

    /// The next process whose oldest replacement hits a limit at `now`, and the instant of the replacement.
    pub(crate) fn pop_over_limit(&mut self, now: KTime) -> Option<(KTime, ProcessKey)> {
        let Limits { processes, age } = self.limits;
        let too_many = self.units > processes;
        self.pop_if(|at| too_many || at.saturating_add(age) <= now)
    }

    fn pop_if(&mut self, due: impl FnOnce(KTime) -> bool) -> Option<(KTime, ProcessKey)> {
        let &Reverse((at, key, units)) = self.due.peek().filter(|Reverse((at, ..))| due(*at))?;
        self.due.pop();
        self.units = self.units.saturating_sub(units);
        Some((at, key))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}
