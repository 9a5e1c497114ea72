//! Fixed windows of event time, closed by the watermark.

use std::collections::VecDeque;
use std::time::Duration;

use pdata::{Batch, Event, KTime, Loss, ProcessEvent, Sample, Watermark};

/// Length of a window unless the configuration sets another.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(5);
/// The shortest window worth its overhead: each one repeats its resources and its dictionary.
pub const MIN_WINDOW: Duration = Duration::from_millis(100);
/// The longest window: its content is held in memory, and lost if the agent is killed.
pub const MAX_WINDOW: Duration = Duration::from_secs(600);

/// The fault in the value of a configuration key `window`, if there is one.
#[must_use]
pub fn window_fault(window: Duration) -> Option<String> {
    let fits = (MIN_WINDOW..=MAX_WINDOW).contains(&window);
    (!fits).then(|| format!("is {window:?}, expected {MIN_WINDOW:?} to {MAX_WINDOW:?}"))
}

/// The collector of a window's events.
pub trait Gather {
    /// True if the collector takes process events (fork, exec, exit). Such an event then opens a window, as a sample
    /// does.
    const PROCESSES: bool = false;

    /// Takes a sample of the window, or a late one of an earlier window.
    fn sample(&mut self, sample: &Sample);
    /// Takes a loss of the window, or a late one.
    fn loss(&mut self, loss: &Loss);
    /// Takes a process event of the window, if [`Gather::PROCESSES`] is true or [`EventWindows::taking_processes`]
    /// asked for such events.
    fn process(&mut self, _event: &ProcessEvent) {}
}

/// A window to which no more events will come.
#[derive(Debug)]
pub struct Closed<G> {
    /// Start of the window.
    pub from: KTime,
    /// End of the window, not part of it.
    pub until: KTime,
    /// The collected events. A late sample's stamp is before [`Closed::from`].
    pub gathered: G,
}

/// Sorts samples and losses into windows of one length, one after the other from the first event on.
///
/// A window closes when a batch's watermark reaches its end. An event of a closed window (a late one) goes to the first
/// window still open: it gets no window of its own. A loss belongs to the window that holds its end. No window is made
/// for a span without events.
///
/// At [`Watermark::END`] all windows close, the last one at the end of the known events, so that its length is the time
/// that was observed. At a [flush](Batch::flush) all windows close at the watermark, and the next window starts there.
#[derive(Debug)]
pub struct EventWindows<G> {
    length: u64,
    /// Start of window 0.
    origin: Option<KTime>,
    /// The open windows, by rising number. There is more than one only while a batch is taken, since all its events are
    /// before its watermark.
    open: VecDeque<Open<G>>,
    /// Number of the first window that has not been closed.
    first_open: u64,
    /// True if process events are taken.
    processes: bool,
    /// The instant up to which events are known: the highest watermark but END, or just after the latest event.
    seen: KTime,
    /// The watermark of the last answer.
    acked: Watermark,
}

#[derive(Debug)]
struct Open<G> {
    number: u64,
    from: KTime,
    until: KTime,
    /// Stamp of the earliest sample in the window that no answer has covered yet.
    holds_from: KTime,
    gathered: G,
}

impl<G: Gather> EventWindows<G> {
    /// Windows of this length; a length of zero is taken as one nanosecond.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self {
            length: u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1),
            origin: None,
            open: VecDeque::new(),
            first_open: 0,
            processes: G::PROCESSES,
            seen: KTime::ZERO,
            acked: Watermark::NONE,
        }
    }

    /// The same windows, which also take process events if `wanted` is true.
    #[must_use]
    pub fn taking_processes(self, wanted: bool) -> Self {
        Self { processes: G::PROCESSES || wanted, ..self }
    }

    /// Takes a batch; `start` makes the contents of a new window.
    ///
    /// Returns the windows that have closed, in order, and the watermark to answer the batch with once they have been
    /// dealt with: that of the earliest sample still held, or the batch's if none is held. The watermark never goes
    /// back. Losses and process events carry all that is known of them, so one that is held does not hold the watermark
    /// back.
    pub fn push(&mut self, batch: &Batch, mut start: impl FnMut() -> G) -> (Vec<Closed<G>>, Watermark) {
        for event in batch.events.iter() {
            match event {
                Event::Sample(sample) => {
                    let acked = self.acked;
                    let window = self.window(sample.at, &mut start);
                    if !acked.covers(sample.at) {
                        window.holds_from = window.holds_from.min(sample.at);
                    }
                    window.gathered.sample(sample);
                }
                Event::Loss(loss) => self.window(loss.until, &mut start).gathered.loss(loss),
                Event::Process(event) if self.processes => {
                    self.window(event.at, &mut start).gathered.process(event);
                }
                Event::Process(_) | Event::Census(_) => {}
            }
        }
        let mut closed = self.close(batch.watermark);
        if batch.flush && batch.watermark != Watermark::END {
            closed.extend(self.flush(batch.watermark.at()));
        }
        let held = self.open.iter().map(|window| window.holds_from).min().unwrap_or(KTime::MAX);
        self.acked = self.acked.max(batch.watermark.min(Watermark::before(held)));
        (closed, self.acked)
    }

    /// The window that takes an event stamped `at`.
    fn window(&mut self, at: KTime, start: &mut impl FnMut() -> G) -> &mut Open<G> {
        self.seen = self.seen.max(after(at));
        let origin = *self.origin.get_or_insert(at);
        let number = (since(origin, at) / self.length).max(self.first_open);
        // From the back: events come in order.
        let place = self.open.iter().rposition(|window| window.number <= number);
        let found = place.filter(|&place| self.open.get(place).is_some_and(|w| w.number == number));
        let place = found.unwrap_or_else(|| {
            let new = place.map_or(0, |place| place + 1);
            let from = bound(origin, self.length, number);
            let until = bound(origin, self.length, number.saturating_add(1));
            self.open.insert(new, Open { number, from, until, holds_from: KTime::MAX, gathered: start() });
            new
        });
        // `place` was found or inserted above, so the index is in range.
        #[allow(clippy::indexing_slicing, reason = "found or inserted a line above")]
        &mut self.open[place]
    }

    /// Closes the open windows at `until`: all events are before that instant.
    fn flush(&mut self, until: KTime) -> impl Iterator<Item = Closed<G>> + use<G> {
        self.origin = self.origin.map(|_| until);
        self.first_open = 0;
        std::mem::take(&mut self.open).into_iter().map(move |Open { from, gathered, .. }| Closed {
            from,
            until: until.max(after(from)),
            gathered,
        })
    }

    fn close(&mut self, watermark: Watermark) -> Vec<Closed<G>> {
        let at_end = watermark == Watermark::END;
        if !at_end {
            self.seen = self.seen.max(watermark.at());
            let passed = self.origin.map_or(0, |origin| since(origin, watermark.at()) / self.length);
            self.first_open = self.first_open.max(passed);
        }
        let mut closed = Vec::new();
        while self.open.front().is_some_and(|window| window.until <= watermark.at()) {
            let Some(window) = self.open.pop_front() else { break };
            let until =
                if at_end { window.until.min(self.seen).max(after(window.from)) } else { window.until };
            closed.push(Closed { from: window.from, until, gathered: window.gathered });
        }
        closed
    }
}

/// The instant right after `at`.
fn after(at: KTime) -> KTime {
    at.saturating_add(Duration::from_nanos(1))
}

/// Nanoseconds from `origin` to `at`, zero if `at` is earlier.
fn since(origin: KTime, at: KTime) -> u64 {
    at.as_nanos().saturating_sub(origin.as_nanos())
}

/// Start of the window of a number.
fn bound(origin: KTime, length: u64, number: u64) -> KTime {
    KTime::from_nanos(origin.as_nanos().saturating_add(length.saturating_mul(number)))
}
