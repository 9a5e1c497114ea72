//! Samples that wait for the rest of their stack, and all events behind them in order.
//!
//! A sample whose stack the kernel could not follow is followed by the thread that builds the rows
//! (`unwind/follow.rs`), at its place in the order: events behind it leave after it, and the watermark stays before it.
//! A sample waits no longer than [`PATIENCE`]: then it leaves as it is.

use std::collections::VecDeque;
use std::time::Instant;

use foldhash::HashMap;
use pdata::{Event, Watermark};

use crate::files::OpenSample;
use crate::unwind::{Followed, PATIENCE, Ticket};

/// The most events that are held; beyond them no sample is waited for.
const MAX_HELD: usize = 1 << 17;

/// Events in order, the first of which may be a sample that is waited for.
#[derive(Debug)]
pub(crate) struct Hold {
    held: VecDeque<Held>,
    /// Bytes of the events behind a sample that is waited for.
    bytes: usize,
    max_bytes: usize,
    /// Answers for samples that are waited for.
    followed: HashMap<Ticket, Followed>,
    waiting: usize,
    /// The last ticket of a sample that is not waited for any more.
    over: Ticket,
    forwarded: Watermark,
}

#[derive(Debug)]
enum Held {
    /// An event, and the bytes that are counted of it.
    Event(Event, usize),
    Waiting {
        ticket: Ticket,
        since: Instant,
        sample: Box<OpenSample>,
    },
}

/// The events that leave, and the watermark behind them.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) events: Vec<Event>,
    pub(crate) watermark: Watermark,
    /// Samples that left as they were, since nobody followed their stacks in time.
    pub(crate) late: u64,
    /// Ends of the released stacks that the kernel has not counted.
    pub(crate) ends: Vec<u16>,
}

impl Hold {
    /// A hold without events. With more than `max_bytes` behind a sample, it is waited for no longer.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            held: VecDeque::new(),
            bytes: 0,
            max_bytes,
            followed: HashMap::default(),
            waiting: 0,
            over: Ticket::default(),
            forwarded: Watermark::default(),
        }
    }

    /// Takes an event that is complete, behind all before.
    pub(crate) fn push(&mut self, event: Event) {
        // The event leaves at once if no sample is waited for.
        let bytes = if self.is_waiting() { size_of::<Event>() + event.share() } else { 0 };
        self.bytes += bytes;
        self.held.push_back(Held::Event(event, bytes));
    }

    /// Takes a sample whose stack is being followed, behind all before; tickets ascend from 1.
    pub(crate) fn wait(&mut self, ticket: Ticket, since: Instant, sample: OpenSample) {
        self.waiting += 1;
        self.held.push_back(Held::Waiting { ticket, since, sample: Box::new(sample) });
    }

    /// Takes the rest of a stack. An answer that came too late is dropped.
    pub(crate) fn answer(&mut self, ticket: Ticket, followed: Followed) {
        if ticket > self.over {
            self.followed.insert(ticket, followed);
        }
    }

    /// True if samples are waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// True if there are no more answers to wait for at this time.
    pub(crate) fn is_complete(&self, now: Instant) -> bool {
        self.held.iter().all(|held| match held {
            Held::Event(..) => true,
            Held::Waiting { ticket, since, .. } => self.followed.contains_key(ticket) || is_over(*since, now),
        })
    }

    /// Releases all that is complete, up to the first sample that is not; `covered` is the watermark of all events
    /// taken so far.
    pub(crate) fn release(&mut self, covered: Watermark, now: Instant) -> Released {
        let mut released = Released { events: Vec::new(), watermark: covered, late: 0, ends: Vec::new() };
        while let Some(held) = self.held.pop_front() {
            match held {
                Held::Event(event, bytes) => {
                    self.bytes -= bytes;
                    released.events.push(event);
                }
                Held::Waiting { ticket, since, mut sample } => {
                    let followed = self.followed.remove(&ticket);
                    let is_full = self.held.len() > MAX_HELD || self.bytes > self.max_bytes;
                    let gives_up = is_over(since, now) || is_full;
                    if followed.is_none() && !gives_up {
                        released.watermark = covered.min(Watermark::before(sample.at()));
                        self.held.push_front(Held::Waiting { ticket, since, sample });
                        break;
                    }
                    (self.waiting, self.over) = (self.waiting - 1, ticket);
                    match followed {
                        Some(followed) => sample.go_on(&followed),
                        None => released.late += 1,
                    }
                    released.ends.push(sample.end());
                    released.events.push(Event::Sample(sample.close()));
                }
            }
        }
        // Events that were late to begin with may be waited for, too.
        self.forwarded = self.forwarded.max(released.watermark);
        released.watermark = self.forwarded;
        released
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= PATIENCE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pdata::{KTime, Loss, LossReason, Sample, StackEnd};
    use proptest::prelude::*;

    use super::*;
    use crate::abi;

    fn event(at: u64) -> Event {
        let at = KTime::from_nanos(at);
        Event::Loss(Loss { from: at, until: at, reason: LossReason::SampleRingFull, count: 1 })
    }

    fn sample(at: u64) -> OpenSample {
        let sample = Sample { at: KTime::from_nanos(at), ..Sample::default() };
        OpenSample::new(sample, abi::END_FILE_PENDING)
    }

    fn whole() -> Followed {
        Followed { frames: Box::default(), end: abi::END_ROOT }
    }

    fn before(at: u64) -> Watermark {
        Watermark::before(KTime::from_nanos(at))
    }

    fn times(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.at().as_nanos()).collect()
    }

    #[test]
    fn what_is_behind_a_sample_waits_with_it_and_the_watermark_stays_before_it() {
        let (mut hold, now) = (Hold::new(usize::MAX), Instant::now());
        hold.push(event(1));
        hold.wait(Ticket(7), now, sample(2));
        hold.push(event(3));
        let released = hold.release(before(10), now);
        assert_eq!((times(&released.events), released.watermark), (vec![1], before(2)));
        assert!(hold.is_waiting() && !hold.is_complete(now));
        hold.answer(Ticket(7), whole());
        assert!(hold.is_complete(now));
        let released = hold.release(before(11), now);
        assert_eq!((times(&released.events), released.watermark), (vec![2, 3], before(11)));
        assert_eq!((released.late, &released.ends[..]), (0, &[abi::END_ROOT][..]));
        let Event::Sample(sample) = &released.events[0] else { panic!("no sample") };
        assert_eq!(sample.stack.end, StackEnd::Root);
        assert!(!hold.is_waiting());
    }

    #[test]
    fn a_sample_that_nobody_follows_in_time_leaves_as_it_is() {
        let (mut hold, now) = (Hold::new(usize::MAX), Instant::now());
        hold.wait(Ticket(1), now, sample(2));
        let just_before = now + PATIENCE - Duration::from_millis(1);
        assert!(hold.release(before(10), just_before).events.is_empty());
        let released = hold.release(before(10), now + PATIENCE);
        assert_eq!((times(&released.events), released.watermark, released.late), (vec![2], before(10), 1));
        let Event::Sample(sample) = &released.events[0] else { panic!("no sample") };
        assert_eq!(sample.stack.end, StackEnd::Pending);
        hold.answer(Ticket(1), whole());
        assert!(hold.followed.is_empty(), "nobody's");
    }

    #[test]
    fn a_sample_is_not_waited_for_with_too_many_bytes_behind_it() {
        let bytes = size_of::<Event>() + event(0).share();
        let (mut hold, now) = (Hold::new(3 * bytes), Instant::now());
        hold.push(event(1));
        hold.wait(Ticket(1), now, sample(2));
        (3..6).for_each(|at| hold.push(event(at)));
        assert_eq!(times(&hold.release(before(6), now).events), [1]);
        hold.wait(Ticket(2), now, sample(6));
        hold.push(event(7));
        let released = hold.release(before(10), now);
        assert_eq!((times(&released.events), released.late), (vec![2, 3, 4, 5], 1));
        assert_eq!((released.watermark, hold.bytes), (before(6), bytes));
        hold.answer(Ticket(2), whole());
        assert_eq!(times(&hold.release(before(10), now).events), [6, 7]);
        assert_eq!(hold.bytes, 0);
    }

    proptest! {
        /// Whatever answers come in whatever order: all events leave once, in order, never behind the watermark, and
        /// the watermark never goes back.
        #[test]
        fn order_and_watermark_hold(steps in proptest::collection::vec((0u8..4, 0u64..5), 0..100)) {
            let (mut hold, now) = (Hold::new(usize::MAX), Instant::now());
            let (mut at, mut tickets, mut out, mut last) = (1, Vec::new(), Vec::new(), Watermark::default());
            for (step, number) in steps {
                match step {
                    0 => hold.push(event(at)),
                    1 => {
                        hold.wait(Ticket(at), now, sample(at));
                        tickets.push(at);
                    }
                    2 if !tickets.is_empty() => {
                        let ticket = tickets.swap_remove(usize::try_from(number).unwrap() % tickets.len());
                        hold.answer(Ticket(ticket), whole());
                    }
                    _ => {}
                }
                at += u64::from(step < 2);
                let released = hold.release(before(at), now);
                prop_assert!(released.watermark >= last);
                prop_assert!(released.events.iter().all(|event| !last.covers(event.at())));
                prop_assert!(released.events.iter().all(|event| released.watermark.covers(event.at())));
                last = released.watermark;
                out.extend(times(&released.events));
            }
            out.extend(times(&hold.release(before(at), now + PATIENCE).events));
            prop_assert_eq!(out, (1..at).collect::<Vec<_>>());
        }
    }
}
