//! Samples forwarded to an exporter and not acked yet.

use std::collections::VecDeque;

use pdata::Watermark;

/// Samples forwarded to an exporter, by the watermark of their batch, until they are acked.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Ordered by watermark, none of them acked.
    forwarded: VecDeque<(Watermark, u64)>,
    acked: Watermark,
}

impl Ledger {
    /// Notes a batch that is about to be forwarded to the exporter.
    pub(super) fn forward(&mut self, until: Watermark, samples: u64) {
        if samples > 0 {
            self.forwarded.push_back((until, samples));
        }
    }

    /// Notes an answer. Returns the number of samples that it acks; an answer never takes one back.
    pub(super) fn acknowledge(&mut self, answer: Watermark) -> u64 {
        self.acked = self.acked.max(answer);
        let mut samples = 0;
        while let Some(&(_, count)) = self.forwarded.front().filter(|(until, _)| *until <= self.acked) {
            self.forwarded.pop_front();
            samples += count;
        }
        samples
    }

    /// The highest answer.
    pub(super) fn acked(&self) -> Watermark {
        self.acked
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
        /// Whatever is forwarded and acked, no sample is acked twice or too early, and none is
        /// left at the end.
        #[test]
        fn every_sample_is_acknowledged_once(
            batches in prop::collection::vec((0_u64..50, 0_u64..9, 0_u64..60), 0..40)
        ) {
            let (mut ledger, mut at, mut acked) = (Ledger::default(), 0, Watermark::NONE);
            let mut open: Vec<(Watermark, u64)> = Vec::new();
            for (step, samples, lag) in batches {
                at += step;
                ledger.forward(before(at), samples);
                open.push((before(at), samples));
                let answer = before(at.saturating_sub(lag));
                acked = acked.max(answer);
                let due: u64 = open.iter().filter(|(w, _)| *w <= acked).map(|(_, n)| n).sum();
                open.retain(|(w, _)| *w > acked);
                prop_assert_eq!(ledger.acknowledge(answer), due);
                prop_assert_eq!(ledger.acked(), acked);
            }
            let left: u64 = open.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(ledger.acknowledge(Watermark::END), left);
        }
    }
}
