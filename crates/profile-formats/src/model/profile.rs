//! A profile: a span of time, tables, and samples that refer to them.

use std::collections::BTreeMap;

use pdata::UnixNanos;

use super::marker::Marker;
use super::sample::{Capture, Samples};
use super::tables::Tables;

/// The stacks and tasks that ran in a span of time, and the amount of each.
///
/// Samples beyond the bounds are counted, too: [`Samples::captured`] is exactly the number of gathered samples, and
/// [`Profile::beyond_bounds`] of them have no stack of their own.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Start of the span.
    pub start: UnixNanos,
    /// End of the span, not part of it.
    pub end: UnixNanos,
    /// The tables that samples refer to.
    pub tables: Tables,
    /// The samples, each with its amount.
    pub samples: Samples,
    /// Instants of samples in the order in which they came; empty if they are not kept.
    pub captures: Vec<Capture>,
    /// Number of captures whose instant is not kept although others are: there were too many.
    pub untimed: u64,
    /// Events beside samples, in the order in which they came.
    pub markers: Vec<Marker>,
    /// Number of events that were too many to keep.
    pub markers_dropped: u64,
    /// Losses before samples reached the profile, by reason.
    pub losses: BTreeMap<Box<str>, Loss>,
    /// Number of captures that are counted under the one stack [`OTHER`](super::OTHER), since the profile was full.
    pub beyond_bounds: u64,
}

/// Records lost for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Number of records.
    pub count: u64,
    /// True if the records were samples, rather than facts of processes.
    pub samples: bool,
}

/// Numbers of captures that show how complete a profile is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of captures.
    pub captured: u64,
    /// Number of samples that were lost, for any reason.
    pub lost: u64,
    /// Number of captures whose stack lacks its outermost frames.
    pub truncated: u64,
    /// Number of captures whose innermost frame has no name.
    pub unnamed: u64,
    /// Number of captures that are under the one stack [`OTHER`](super::OTHER).
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

    /// Number of samples that were lost, for any reason.
    #[must_use]
    pub fn samples_lost(&self) -> u64 {
        let samples = self.losses.values().filter(|loss| loss.samples);
        samples.fold(0, |sum, loss| sum.saturating_add(loss.count))
    }

    /// Numbers of captures that show how complete the profile is.
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
