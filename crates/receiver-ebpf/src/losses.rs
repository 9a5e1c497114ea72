//! The accounting of losses, into the metric and into the stream of events.

use pdata::{Event, KTime, Loss, LossReason};

use crate::metrics;
use crate::order::{Orderer, Pending};

/// Counts the losses between two instants, and puts them into the stream, so that the profile of that time reports
/// them. Returns the number of lost records that were not samples but facts about processes and files.
pub(crate) fn account(
    losses: impl IntoIterator<Item = (LossReason, u64)>,
    (from, until): (KTime, KTime),
    orderer: &mut Orderer,
) -> u64 {
    let mut facts = 0;
    for (reason, count) in losses {
        if count == 0 {
            continue;
        }
        metrics::lost(reason, count);
        if !reason.is_sample() {
            facts += count;
        }
        orderer.push(Pending::Event(Event::Loss(Loss { from, until, reason, count })));
    }
    facts
}

#[cfg(test)]
mod tests {
    use ::metrics::with_local_recorder;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    /// A loss for any reason is in the metric under that reason, and in the stream.
    #[test]
    fn every_reason_reaches_the_metric_and_the_stream() {
        for reason in LossReason::ALL {
            let (recorder, mut orderer) = (DebuggingRecorder::new(), Orderer::default());
            let span = (KTime::from_nanos(10), KTime::from_nanos(20));
            let facts = with_local_recorder(&recorder, || account([(reason, 7)], span, &mut orderer));
            assert_eq!(facts, if reason.is_sample() { 0 } else { 7 });
            let counted: Vec<_> = recorder.snapshotter().snapshot().into_vec().into_iter().collect();
            let [(key, _, _, DebugValue::Counter(7))] = &counted[..] else { panic!("{counted:?}") };
            assert_eq!(key.key().name(), "otelcol_receiver_ebpf_records_lost_total");
            let labels: Vec<_> = key.key().labels().map(|label| (label.key(), label.value())).collect();
            assert_eq!(labels, [("reason", reason.as_str())]);
            let [Pending::Event(Event::Loss(loss))] = &orderer.finish()[..] else {
                panic!("not in the stream")
            };
            assert_eq!((loss.reason, loss.count, loss.from, loss.until), (reason, 7, span.0, span.1));
        }
    }

    #[test]
    fn nothing_lost_is_no_event() {
        let mut orderer = Orderer::default();
        assert_eq!(account([(LossReason::SampleRingFull, 0)], (KTime::ZERO, KTime::ZERO), &mut orderer), 0);
        assert!(orderer.finish().is_empty());
    }
}
