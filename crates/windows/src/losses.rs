//! Sums of the records that a window lacks, by reason.

use std::collections::BTreeMap;

use pdata::{Loss, LossReason};

/// Lost records by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(BTreeMap<LossReason, u64>);

impl Losses {
    /// Adds one loss.
    pub fn add(&mut self, loss: &Loss) {
        self.add_count(loss.reason, loss.count);
    }

    /// Adds the losses of another span.
    pub fn merge(&mut self, other: &Self) {
        for (&reason, &count) in &other.0 {
            self.add_count(reason, count);
        }
    }

    /// Samples lost, by any reason.
    #[must_use]
    pub fn samples(&self) -> u64 {
        let counts = self.0.iter().filter(|(reason, _)| reason.is_sample()).map(|(_, &count)| count);
        counts.fold(0, u64::saturating_add)
    }

    /// The reasons for which records were lost, in order, with the number of records.
    pub fn iter(&self) -> impl Iterator<Item = (LossReason, u64)> + '_ {
        self.0.iter().map(|(&reason, &count)| (reason, count))
    }

    fn add_count(&mut self, reason: LossReason, count: u64) {
        if count > 0 {
            let total = self.0.entry(reason).or_default();
            *total = total.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use pdata::KTime;

    use super::*;

    fn loss(reason: LossReason, count: u64) -> Loss {
        Loss { from: KTime::ZERO, until: KTime::ZERO, reason, count }
    }

    #[test]
    fn only_lost_samples_count_as_samples() {
        let mut losses = Losses::default();
        losses.add(&loss(LossReason::SampleRingFull, 3));
        losses.add(&loss(LossReason::SampleTimerMissed, 4));
        losses.add(&loss(LossReason::LifecycleRingFull, 5));
        losses.add(&loss(LossReason::LifecycleMalformed, 0));
        assert_eq!(losses.samples(), 7);
        assert_eq!(losses.iter().count(), 3, "a reason that lost nothing is not reported");
    }

    #[test]
    fn sums_saturate() {
        let mut losses = Losses::default();
        losses.add(&loss(LossReason::SampleRingFull, u64::MAX));
        losses.merge(&losses.clone());
        losses.add(&loss(LossReason::SampleMalformed, 1));
        assert_eq!(losses.samples(), u64::MAX);
    }
}
