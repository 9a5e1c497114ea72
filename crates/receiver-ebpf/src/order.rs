//! Streams to one stream in kernel-time order, released up to a watermark.

use pdata::{Event, KTime, Watermark};

/// Holds events back until the watermark passes them, then gives them out in order.
///
/// Memory is bounded by what the rings hold between two releases.
#[derive(Debug, Default)]
pub struct Orderer {
    held: Vec<Event>,
    released: Watermark,
    late: Lateness,
}

/// Events that came behind a watermark already given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// How many.
    pub events: u64,
    /// The most that one was behind, nanoseconds.
    pub most_nanos: u64,
}

impl Orderer {
    /// Takes an event of any stream, in any order.
    pub fn push(&mut self, event: Event) {
        if self.released.covers(event.at()) {
            let behind = self.released.at().saturating_since(event.at());
            self.late.events += 1;
            self.late.most_nanos =
                self.late.most_nanos.max(u64::try_from(behind.as_nanos()).unwrap_or(u64::MAX));
        }
        self.held.push(event);
    }

    /// All events before `watermark`, in order: at one instant facts before samples before losses.
    /// Late ones come first, as their time says.
    pub fn release(&mut self, watermark: Watermark) -> Vec<Event> {
        self.released = self.released.max(watermark);
        // Stable, and linear on the runs that each ring already is.
        self.held.sort_by_key(order);
        let covered = self.held.partition_point(|event| self.released.covers(event.at()));
        let rest = self.held.split_off(covered);
        std::mem::replace(&mut self.held, rest)
    }

    /// Everything that is left, in order, as at the end of the stream.
    pub fn finish(&mut self) -> Vec<Event> {
        self.held.sort_by_key(order);
        std::mem::take(&mut self.held)
    }

    /// What came late since the last call.
    pub fn take_lateness(&mut self) -> Lateness {
        std::mem::take(&mut self.late)
    }
}

fn order(event: &Event) -> (KTime, u8) {
    let rank = match event {
        Event::Process(_) | Event::Mapping(_) => 0,
        Event::Sample(_) => 1,
        Event::Loss(_) => 2,
        // All else of that instant goes before.
        Event::Census(_) => 3,
    };
    (event.at(), rank)
}

#[cfg(test)]
mod tests {
    use pdata::{Loss, LossReason, MappingChange, MappingEvent, Pid};
    use proptest::prelude::*;

    use super::*;

    fn loss(at: u64) -> Event {
        let at = KTime::from_nanos(at);
        Event::Loss(Loss { from: at, until: at, reason: LossReason::SampleRingFull, count: 1 })
    }

    fn times(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.at().as_nanos()).collect()
    }

    fn before(at: u64) -> Watermark {
        Watermark::before(KTime::from_nanos(at))
    }

    #[test]
    fn nothing_at_or_after_the_watermark_is_released() {
        let mut orderer = Orderer::default();
        [5, 3, 10, 7].into_iter().for_each(|at| orderer.push(loss(at)));
        assert_eq!(times(&orderer.release(before(7))), [3, 5]);
        assert!(orderer.release(before(7)).is_empty());
        assert_eq!(times(&orderer.finish()), [7, 10]);
    }

    #[test]
    fn a_late_event_is_kept_and_counted_with_how_late_it_was() {
        let mut orderer = Orderer::default();
        orderer.release(before(100));
        orderer.push(loss(40));
        orderer.push(loss(100));
        assert_eq!(orderer.take_lateness(), Lateness { events: 1, most_nanos: 60 });
        assert_eq!(orderer.take_lateness(), Lateness::default());
        assert_eq!(times(&orderer.release(before(101))), [40, 100]);
    }

    #[test]
    fn at_one_instant_facts_come_before_what_they_explain() {
        let mut orderer = Orderer::default();
        let cleared = MappingEvent { at: KTime::from_nanos(5), pid: Pid(1), change: MappingChange::Cleared };
        orderer.push(loss(5));
        orderer.push(Event::Mapping(cleared));
        assert!(matches!(orderer.finish()[..], [Event::Mapping(_), Event::Loss(_)]));
    }

    proptest! {
        /// Whatever comes in leaves exactly once, in order as far as it was not late, and never
        /// before a watermark covers it.
        #[test]
        fn every_event_leaves_once_in_order(steps in proptest::collection::vec((0u64..1000, any::<bool>()), 0..200)) {
            let mut orderer = Orderer::default();
            let (mut pushed, mut out, mut watermark) = (0, Vec::new(), 0);
            for (at, release) in steps {
                if release {
                    let batch = times(&orderer.release(before(at)));
                    watermark = watermark.max(at);
                    prop_assert!(batch.is_sorted());
                    prop_assert!(batch.iter().all(|&at| at < watermark));
                    out.extend(batch);
                } else {
                    orderer.push(loss(at));
                    pushed += 1;
                }
            }
            out.extend(times(&orderer.finish()));
            prop_assert_eq!(out.len(), pushed);
        }
    }
}
