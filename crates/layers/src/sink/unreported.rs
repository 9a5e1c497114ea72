//! The batches that one exporter never received, so that its output can report the loss.

use std::collections::BTreeMap;
use std::mem;

use pdata::{Batch, Event, KTime, Loss, LossReason, Watermark};

/// Losses that the exporter has not received yet: they go with the next batch.
#[derive(Debug, Default)]
pub(super) struct Unreported {
    losses: BTreeMap<LossReason, Loss>,
    /// True if one of the batches asked for delivery without waiting for a window to fill.
    flush: bool,
}

impl Unreported {
    /// Notes a batch that the exporter will never receive: its samples, and the losses that it held.
    /// `since` is the watermark of the batch before.
    pub(super) fn note(&mut self, batch: &Batch, since: Watermark) {
        self.flush |= batch.flush;
        let samples = Loss {
            from: since.at(),
            // Any instant will do that is not before `since` and not after the next batch's events.
            until: if batch.watermark == Watermark::END { since.at() } else { batch.watermark.at() },
            reason: LossReason::SampleQueueFull,
            count: batch.sample_count(),
        };
        self.add(samples);
        for event in batch.events.iter() {
            if let Event::Loss(loss) = event {
                self.add(*loss);
            }
        }
    }

    /// Reports the losses at the head of a batch that the exporter will see.
    pub(super) fn report_in(&mut self, batch: &mut Batch) {
        batch.flush |= mem::take(&mut self.flush);
        let mut unreported: Vec<_> = mem::take(&mut self.losses).into_values().collect();
        unreported.sort_by_key(|loss| loss.until);
        batch.report_losses(unreported);
    }

    fn add(&mut self, loss: Loss) {
        if loss.count == 0 {
            return;
        }
        let sum = Loss { from: KTime::MAX, until: KTime::ZERO, reason: loss.reason, count: 0 };
        let sum = self.losses.entry(loss.reason).or_insert(sum);
        sum.from = sum.from.min(loss.from);
        sum.until = sum.until.max(loss.until);
        sum.count = sum.count.saturating_add(loss.count);
    }
}
