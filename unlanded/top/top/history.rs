//! The last minute.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use pdata::{Batch, Event, KTime, Loss, Measure, Pid, Sample, Watermark};

use super::processes::Processes;
use super::second::Second;
use crate::names::Names;
use crate::symbols::{executable, symbols};
use crate::tally::FunctionId;

/// Seconds that are kept.
pub(super) const SECONDS: u64 = 60;
const NANOS: u64 = 1_000_000_000;

/// What the CPUs did in the last minute, second by second.
///
/// Bounded: a minute of seconds, each with as many places as it has distinct stacks (up to a bound), and the processes of
/// that minute.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub(super) names: Names,
    /// The oldest first; a second in which nothing ran is missing.
    pub(super) seconds: VecDeque<Second>,
    pub(super) processes: Processes,
    /// The first second of which not everything is known yet.
    pub(super) current: u64,
    /// Samples lost so far, by reason.
    pub(super) lost: BTreeMap<&'static str, u64>,
    /// The functions of one stack, kept for its memory.
    stack: Vec<(FunctionId, bool)>,
}

impl History {
    /// Takes over who started whom of the processes that run already.
    pub fn started_before(&mut self, parents: BTreeMap<Pid, Pid>) {
        self.processes.started_before(parents);
    }

    /// Takes a batch.
    pub fn take(&mut self, batch: &Batch) {
        for event in batch.events.iter() {
            match event {
                Event::Sample(sample) => self.sample(sample),
                Event::Loss(loss) => self.loss(loss),
                Event::Process(event) => self.processes.observe(event),
                Event::Census(_) => {}
            }
        }
        if batch.watermark != Watermark::END {
            self.reach(batch.watermark.at());
        }
    }

    /// The seconds of a window that ends with the last one that is complete, of so many.
    pub(super) fn window(&self, seconds: u64) -> impl Iterator<Item = &Second> {
        let (from, until) = (self.current.saturating_sub(seconds), self.current);
        self.seconds.iter().filter(move |second| (from..until).contains(&second.number))
    }

    /// A value of each of the last seconds, the oldest first; zero where nothing ran.
    pub(super) fn series(&self, seconds: u64, value: impl Fn(&Second) -> u64) -> Vec<u64> {
        let values: HashMap<_, _> = self.window(seconds).map(|second| (second.number, value(second))).collect();
        let numbers = self.current.saturating_sub(seconds)..self.current;
        numbers.map(|number| values.get(&number).copied().unwrap_or_default()).collect()
    }

    fn reach(&mut self, watermark: KTime) {
        self.current = self.current.max(watermark.as_nanos() / NANOS);
        let oldest = self.current.saturating_sub(SECONDS);
        while self.seconds.front().is_some_and(|second| second.number < oldest) {
            self.seconds.pop_front();
        }
        self.processes.forget(watermark, Duration::from_secs(SECONDS));
    }

    fn sample(&mut self, sample: &Sample) {
        let Measure::OnCpu { period } = sample.measure else { return };
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let name = self.names.id(&executable(sample));
        self.processes.ran(sample.key.process, name);
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        // The outermost first: within a frame, what others were inlined into.
        for frame in sample.stack.frames.iter().rev() {
            for symbol in symbols(frame).rev() {
                let (name, module) = (self.names.id(symbol.name), self.names.id(&symbol.module));
                stack.push((FunctionId { name, module }, frame.code.is_kernel()));
            }
        }
        if let Some(second) = self.second(sample.at) {
            second.busy = second.busy.saturating_add(nanos);
            second.samples += 1;
            *second.executables.entry(name).or_default() += nanos;
            *second.processes.entry(sample.key.process).or_default() += nanos;
            second.calls.add(stack.iter().copied(), nanos);
            if let Some((leaf, _)) = stack.last() {
                second.functions.entry(*leaf).or_default().own += nanos;
            }
            stack.sort_unstable();
            stack.dedup();
            for (function, _) in &stack {
                second.functions.entry(*function).or_default().total += nanos;
            }
        }
        self.stack = stack;
    }

    fn loss(&mut self, loss: &Loss) {
        if !loss.reason.is_sample() || loss.count == 0 {
            return;
        }
        let lost = self.lost.entry(loss.reason.as_str()).or_default();
        *lost = lost.saturating_add(loss.count);
        if let Some(second) = self.second(loss.until) {
            second.lost = second.lost.saturating_add(loss.count);
        }
    }

    /// The second that holds an instant; `None` if it is no longer kept.
    fn second(&mut self, at: KTime) -> Option<&mut Second> {
        let number = at.as_nanos() / NANOS;
        if number < self.current.saturating_sub(SECONDS) {
            return None;
        }
        let index = self.seconds.partition_point(|second| second.number < number);
        if self.seconds.get(index).is_none_or(|second| second.number != number) {
            self.seconds.insert(index, Second { number, ..Second::default() });
        }
        self.seconds.get_mut(index)
    }
}
