//! What an exporter was given and has not acknowledged.

use std::collections::VecDeque;

use pdata::Watermark;

/// Samples given to an exporter, by the watermark of their batch, until they are acknowledged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Ordered by watermark, none of them acknowledged.
    given: VecDeque<(Watermark, u64)>,
    acknowledged: Watermark,
}

impl Ledger {
    /// Notes a batch that is about to be given to the exporter.
    pub(super) fn give(&mut self, through: Watermark, samples: u64) {
        if samples > 0 {
            self.given.push_back((through, samples));
        }
    }

    /// Notes an answer. Returns the samples that it acknowledges; an answer never takes one back.
    pub(super) fn acknowledge(&mut self, answer: Watermark) -> u64 {
        self.acknowledged = self.acknowledged.max(answer);
        let mut samples = 0;
        while let Some(&(_, count)) = self.given.front().filter(|(through, _)| *through <= self.acknowledged)
        {
            self.given.pop_front();
            samples += count;
        }
        samples
    }

    /// The highest answer.
    pub(super) fn acknowledged(&self) -> Watermark {
        self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use pdata::KTime;
    use proptest::prelude::*;

    use super::*;

    fn before(nanos: u64) -> Watermark {
        Watermark::before(KTime::from_nanos(nanos))
    }

    proptest! {
        /// Whatever is given and acknowledged, no sample is acknowledged twice or too early, and none is
        /// left at the end.
        #[test]
        fn every_sample_is_acknowledged_once(
            batches in prop::collection::vec((0_u64..50, 0_u64..9, 0_u64..60), 0..40)
        ) {
            let (mut ledger, mut at, mut answered) = (Ledger::default(), 0, Watermark::NONE);
            let mut open: Vec<(Watermark, u64)> = Vec::new();
            for (step, samples, lag) in batches {
                at += step;
                ledger.give(before(at), samples);
                open.push((before(at), samples));
                let answer = before(at.saturating_sub(lag));
                answered = answered.max(answer);
                let due: u64 = open.iter().filter(|(w, _)| *w <= answered).map(|(_, n)| n).sum();
                open.retain(|(w, _)| *w > answered);
                prop_assert_eq!(ledger.acknowledge(answer), due);
                prop_assert_eq!(ledger.acknowledged(), answered);
            }
            let left: u64 = open.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(ledger.acknowledge(Watermark::END), left);
        }
    }
}
