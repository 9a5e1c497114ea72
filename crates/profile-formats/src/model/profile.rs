//! A profile.

use std::collections::BTreeMap;

use pdata::UnixNanos;

use super::marker::Marker;
use super::sample::{Capture, Samples};
use super::tables::Tables;

/// What ran where, for how much of a span of time.
///
/// Whatever was left out is counted: the sum of [`Samples::captured`] is that of the samples that were gathered, to the
/// sample, and [`Profile::beyond_bounds`] of them have no stack of their own.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Start of the span.
    pub start: UnixNanos,
    /// End of the span, not part of it.
    pub end: UnixNanos,
    /// What samples refer to.
    pub tables: Tables,
    /// Samples, and how much of each there was.
    pub samples: Samples,
    /// When samples were captured, in the order in which they came; empty if that is not kept.
    pub captures: Vec<Capture>,
    /// Captures of which no instant is kept, although instants are: there were too many.
    pub untimed: u64,
    /// Events beside samples, in the order in which they came.
    pub markers: Vec<Marker>,
    /// Events that were too many to keep.
    pub markers_dropped: u64,
    /// What was lost before it came here, by reason.
    pub losses: BTreeMap<Box<str>, Loss>,
    /// Captures that are counted under the one stack [`OTHER`](super::OTHER), since the profile was full.
    pub beyond_bounds: u64,
}

/// Records lost by one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// How many.
    pub count: u64,
    /// True if they were samples, rather than facts of processes.
    pub samples: bool,
}

/// What a profile is worth, in numbers of captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Captures.
    pub captured: u64,
    /// Samples that were lost, by any reason.
    pub lost: u64,
    /// Captures whose stack lacks its outermost frames.
    pub truncated: u64,
    /// Captures whose innermost frame has no name.
    pub unnamed: u64,
    /// Captures that are under the one stack [`OTHER`](super::OTHER).
    pub beyond_bounds: u64,
}

impl Profile {
    /// Adds a loss.
    pub fn add_loss(&mut self, reason: &str, loss: Loss) {
        if loss.count == 0 {
            return;
        }
        match self.losses.get_mut(reason) {
            Some(known) => known.count = known.count.saturating_add(loss.count),
            None => {
                self.losses.insert(reason.into(), loss);
            }
        }
    }

    /// Samples that were lost, by any reason.
    #[must_use]
    pub fn samples_lost(&self) -> u64 {
        let samples = self.losses.values().filter(|loss| loss.samples);
        samples.fold(0, |sum, loss| sum.saturating_add(loss.count))
    }

    /// What the profile is worth, in numbers of captures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary =
            Summary { lost: self.samples_lost(), beyond_bounds: self.beyond_bounds, ..Summary::default() };
        for (key, amount) in self.samples.iter() {
            let count = |of: bool| if of { amount.count } else { 0 };
            let leaf = self.tables.stack(key.stack).next();
            let unnamed = leaf.is_none_or(|(_, location)| location.lines.is_none());
            summary.captured = summary.captured.saturating_add(amount.count);
            summary.truncated = summary.truncated.saturating_add(count(key.cut.is_some()));
            summary.unnamed = summary.unnamed.saturating_add(count(unnamed));
        }
        summary
    }
}
