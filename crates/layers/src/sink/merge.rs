//! The merge of several streams into one, in kernel-time order: the same promise that each of them keeps.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use pdata::{Batch, Event, Watermark};

/// The number of an input of a merge.
pub(super) type Input = u64;

/// Merges the batches of its inputs. The batches of a single input pass as they are.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// The open inputs, with the watermark of each.
    inputs: BTreeMap<Input, Watermark>,
    next: Input,
    /// Events before which a slower input may still have others, in order.
    held: Vec<Event>,
    /// Watermark of the last batch that was made.
    forwarded: Watermark,
}

impl Merge {
    /// Opens a new input, which has promised nothing yet.
    pub(super) fn open(&mut self) -> Input {
        self.next += 1;
        self.inputs.insert(self.next, Watermark::NONE);
        self.next
    }

    /// Takes a batch of `input`; a batch with [`Watermark::END`] closes the input. Returns a batch of the events that
    /// can be passed on, which ends the stream if no input is left; `None` if there is nothing to pass on.
    pub(super) fn push(&mut self, input: Input, batch: Batch) -> Option<Batch> {
        let promised = self.inputs.get_mut(&input)?;
        *promised = batch.watermark.max(*promised);
        if batch.watermark == Watermark::END {
            self.inputs.remove(&input);
        }
        let least = self.inputs.values().min().copied().unwrap_or(Watermark::END);
        // A new input has promised nothing, yet the watermark forwarded to the exporter must not go back.
        let until = least.max(self.forwarded);
        if self.held.is_empty() && until == batch.watermark {
            self.forwarded = until;
            return Some(batch);
        }
        let mut events = mem::take(&mut self.held);
        let flush = batch.flush;
        let rest = Batch { events: Arc::default(), ..batch.clone() };
        events.append(&mut batch.into_events());
        // The sort is stable, and quick: two runs that are in order.
        events.sort_by_key(Event::at);
        self.held = match until {
            Watermark::END => Vec::new(),
            until => events.split_off(events.partition_point(|event| until.covers(event.at()))),
        };
        if events.is_empty() && until == self.forwarded && !flush {
            return None;
        }
        self.forwarded = until;
        Some(Batch { events: Arc::new(events.into()), watermark: until, ..rest })
    }

    /// Events that are held.
    pub(super) fn held(&self) -> &[Event] {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use pdata::{KTime, Sample};
    use proptest::prelude::*;

    use super::*;

    fn batch(events: impl IntoIterator<Item = u64>, watermark: Watermark) -> Batch {
        let sample = |at| Event::Sample(Sample { at: KTime::from_nanos(at), ..Sample::default() });
        let events = Arc::new(events.into_iter().map(sample).collect());
        Batch { events, watermark, ..Batch::default() }
    }

    fn before(nanos: u64) -> Watermark {
        Watermark::before(KTime::from_nanos(nanos))
    }

    fn times(batch: &Batch) -> Vec<u64> {
        batch.events.iter().map(|event| event.at().as_nanos()).collect()
    }

    #[test]
    fn of_one_input_each_batch_passes_as_it_is() {
        let mut merge = Merge::default();
        let input = merge.open();
        let first = batch([1, 2], before(5));
        let passed = merge.push(input, first.clone()).unwrap();
        assert!(Arc::ptr_eq(&passed.events, &first.events), "nothing is copied");
        assert_eq!(merge.push(input, batch([], before(9))).unwrap().watermark, before(9), "an empty one too");
        assert_eq!(merge.push(input, batch([9], Watermark::END)).unwrap().watermark, Watermark::END);
    }

    #[test]
    fn an_input_that_joins_or_leaves_takes_back_no_promise() {
        let mut merge = Merge::default();
        let first = merge.open();
        merge.push(first, batch([1], before(10))).unwrap();
        let second = merge.open();
        assert!(merge.push(first, batch([12], before(20))).is_none(), "the second may have one at 11");
        let passed = merge.push(second, batch([11], before(15))).unwrap();
        assert_eq!((times(&passed), passed.watermark), (vec![11, 12], before(15)));
        let passed = merge.push(second, batch([16], Watermark::END)).unwrap();
        assert_eq!((times(&passed), passed.watermark), (vec![16], before(20)), "not the end: one is left");
        assert_eq!(merge.push(first, batch([], Watermark::END)).unwrap().watermark, Watermark::END);
        assert!(merge.push(first, batch([1], before(99))).is_none(), "there is nothing after the end");
    }

    #[test]
    fn a_request_to_deliver_is_passed_on_even_if_nothing_else_is() {
        let mut merge = Merge::default();
        let (first, _second) = (merge.open(), merge.open());
        let flush = Batch { flush: true, ..batch([1], before(10)) };
        assert!(merge.push(first, flush).unwrap().flush);
    }

    proptest! {
        /// Whatever the inputs' steps: every event comes out once, in order, before its batch's watermark and
        /// not before the last one's; the watermark is the least of the inputs'.
        #[test]
        fn the_merged_stream_keeps_every_promise(
            steps in prop::collection::vec((0_usize..3, prop::collection::vec(0_u64..50, 0..6), 1_u64..50), 0..60),
        ) {
            let mut merge = Merge::default();
            let inputs = [merge.open(), merge.open(), merge.open()];
            let (mut at, mut sent, mut received) = ([0_u64; 3], Vec::new(), Vec::new());
            let mut last = Watermark::NONE;
            let mut check = |passed: Option<Batch>, least: Watermark| {
                if let Some(passed) = passed {
                    let within = |event: &Event| !last.covers(event.at()) && passed.watermark.covers(event.at());
                    assert!(passed.watermark == Watermark::END || passed.events.iter().all(within));
                    assert_eq!(passed.watermark, least);
                    received.extend(times(&passed));
                    last = passed.watermark;
                }
            };
            for (input, offsets, step) in steps {
                let mut events: Vec<_> = offsets.iter().map(|offset| at[input] + offset % step).collect();
                events.sort_unstable();
                at[input] += step;
                sent.extend(events.iter().copied());
                let passed = merge.push(inputs[input], batch(events, before(at[input])));
                check(passed, before(*at.iter().min().unwrap()));
            }
            for left in (0..3).rev() {
                let least = at[..left].iter().min().map_or(Watermark::END, |at| before(*at));
                check(merge.push(inputs[left], batch([], Watermark::END)), least.max(before(*at.iter().min().unwrap())));
            }
            prop_assert!(received.is_sorted());
            sent.sort_unstable();
            prop_assert_eq!(received, sent);
        }
    }
}
