//! The order of events: several streams to one in kernel-time order, released up to a watermark.

use pdata::{Event, KTime, Watermark};

use crate::decode::RawSample;

/// An event or a sample that waits for its turn.
#[derive(Debug)]
pub enum Pending {
    /// An event that is complete.
    Event(Event),
    /// A sample whose files are looked up when its turn has come: they have been announced by then.
    Sample(Box<RawSample>),
}

impl Pending {
    /// The instant that decides the place in kernel order.
    #[must_use]
    pub fn at(&self) -> KTime {
        match self {
            Self::Event(event) => event.at(),
            Self::Sample(raw) => raw.sample.at,
        }
    }
}

/// Holds events back until the watermark passes them, then gives them out in order.
///
/// Memory is bounded by the records that the rings hold between two releases.
#[derive(Debug, Default)]
pub struct Orderer {
    held: Vec<Pending>,
    released: Watermark,
    late: Lateness,
}

/// The events that came behind a watermark already forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// The number of events that were late.
    pub events: u64,
    /// The most by which one was behind, nanoseconds.
    pub most_nanos: u64,
}

impl Orderer {
    /// Takes an event of any stream, in any order.
    pub fn push(&mut self, event: Pending) {
        if self.released.covers(event.at()) {
            let behind = self.released.at().saturating_since(event.at());
            self.late.events += 1;
            self.late.most_nanos =
                self.late.most_nanos.max(u64::try_from(behind.as_nanos()).unwrap_or(u64::MAX));
        }
        self.held.push(event);
    }

    /// Releases all events before `watermark`, in order: at one instant facts before samples before losses. Late ones
    /// come first, by their time.
    pub fn release(&mut self, watermark: Watermark) -> Vec<Pending> {
        self.released = self.released.max(watermark);
        // The sort is stable, and linear on the runs that each ring already is.
        self.held.sort_by_key(order);
        let covered = self.held.partition_point(|event| self.released.covers(event.at()));
        let rest = self.held.split_off(covered);
        std::mem::replace(&mut self.held, rest)
    }

    /// Releases all events that are left, in order, as at the end of the stream.
    pub fn finish(&mut self) -> Vec<Pending> {
        self.held.sort_by_key(order);
        std::mem::take(&mut self.held)
    }

    /// Returns the events that came late since the last call.
    pub fn take_lateness(&mut self) -> Lateness {
        std::mem::take(&mut self.late)
    }
}

fn order(pending: &Pending) -> (KTime, u8) {
    let rank = match pending {
        Pending::Event(Event::Process(_)) => 0,
        Pending::Sample(_) | Pending::Event(Event::Sample(_)) => 1,
        Pending::Event(Event::Loss(_)) => 2,
        // All other events of that instant go before.
        Pending::Event(Event::Census(_)) => 3,
    };
    (pending.at(), rank)
}

#[cfg(test)]
mod tests {
    use pdata::{ImageKey, Loss, LossReason, ProcessEvent, ProcessTransition};
    use proptest::prelude::*;

    use super::*;

    fn loss(at: u64) -> Pending {
        let at = KTime::from_nanos(at);
        Pending::Event(Event::Loss(Loss {
            from: at,
            until: at,
            reason: LossReason::SampleRingFull,
            count: 1,
        }))
    }

    fn times(events: &[Pending]) -> Vec<u64> {
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
        let (at, image) = (KTime::from_nanos(5), ImageKey::default());
        let exit = ProcessEvent { at, image, transition: ProcessTransition::Exit };
        orderer.push(loss(5));
        orderer.push(Pending::Event(Event::Process(exit)));
        let ordered = orderer.finish();
        assert!(matches!(ordered[..], [Pending::Event(Event::Process(_)), Pending::Event(Event::Loss(_))]));
    }

    proptest! {
        /// Whatever comes in leaves exactly once, in order as far as it was not late, and never before a watermark
        /// covers it.
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
