//! The store of samples, and its bounds of memory and time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pdata::{KTime, ProcessKey};

use crate::frame::FrameText;
use crate::generation::Generation;
use crate::lineage::Lineage;
use crate::records::Weight;
use crate::stacks::ROOT;
use crate::task::{ProcessText, TaskText};
use crate::time::{Span, TICK_NANOS, TICKS_PER_SECOND, Tick};

/// Number of generations that the allowed time and memory is divided into: as much as one of them may be missing at the
/// old end.
const PARTS: u32 = 8;
/// Most ancestors of a process that are followed.
pub(crate) const MOST_ANCESTORS: usize = 64;

/// Steps for which a process without descendants is known after its end: samples may be late.
const ENDED_FOR: Tick = 30 * TICKS_PER_SECOND;

/// The bounds of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes that the store holds.
    pub max_bytes: usize,
    /// Longest time that the store holds, in steps.
    pub retention: Tick,
}

/// A sample as a caller passes it to the store, with its frames from the outermost to the leaf.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleText<'a> {
    /// The step of the sample.
    pub tick: Tick,
    /// The CPU that the thread ran on.
    pub cpu: u16,
    /// The thread that ran, or was off the CPU.
    pub task: TaskText<'a>,
    /// The sample's measure and value.
    pub weight: Weight,
    /// The sample's frames, outermost first.
    pub frames: &'a [FrameText<'a>],
}

/// A store's progress: the end of its [window](Store::window), readable from another thread.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU32>);

impl Progress {
    /// The end of the window.
    #[must_use]
    pub fn complete(&self) -> Tick {
        self.0.load(Ordering::Relaxed)
    }
}

/// The last minutes of samples in no more bytes than the bound: the oldest samples are dropped first.
///
/// Samples go to the open generation. When that has an eighth of the memory or of the time, it is sealed (its tables
/// shrink, and indexes that only new values would need are freed) and another begins. While the store is larger than
/// allowed, the oldest generation is dropped as a whole. A user who makes stacks, names or processes that are all new
/// thus shortens the time that is held, which [`held`](Self::held) reports, and never raises the memory.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    /// Sealed generations, oldest first, with the bytes of each.
    sealed: VecDeque<(Generation, usize)>,
    sealed_bytes: usize,
    open: Generation,
    /// Number of the open generation: numbers of frames and stacks that the store returned are only good within one.
    number: u64,
    pub(crate) lineage: Option<Lineage>,
    /// The step before which all samples have come, in whole seconds.
    complete: Tick,
    progress: Progress,
    /// End of the last generation that was dropped for want of memory.
    dropped_until: Tick,
    /// Number of samples in those dropped generations.
    dropped: u64,
    /// Unix time of the first step, in nanoseconds.
    epoch: u64,
    /// The unit of values: `nanoseconds`, unless samples were read from a file that measures something else.
    unit: String,
    /// Number of samples that have come since the start.
    taken: u64,
}

impl Store {
    /// An empty store whose first step is at `epoch`, in Unix nanoseconds.
    #[must_use]
    pub fn new(limits: Limits, epoch: u64) -> Self {
        Self {
            limits,
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            open: Generation::new(),
            number: 0,
            lineage: None,
            complete: 0,
            progress: Progress::default(),
            dropped_until: 0,
            dropped: 0,
            epoch,
            unit: "nanoseconds".to_owned(),
            taken: 0,
        }
    }

    /// Sets the unit of values.
    pub fn set_unit(&mut self, unit: &str) {
        unit.clone_into(&mut self.unit);
    }

    /// The unit of values.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Unix time of the first step, in nanoseconds.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// Adds a sample.
    pub fn add(&mut self, sample: &SampleText<'_>) {
        let mut stack = ROOT;
        for frame in sample.frames {
            let frame = self.open.frame(frame);
            stack = self.open.push(stack, frame);
        }
        self.record(sample.tick, sample.cpu, &sample.task, stack, sample.weight);
    }

    /// The number of a frame, good until [`number`](Self::number) rises.
    pub fn frame(&mut self, frame: &FrameText<'_>) -> u32 {
        self.open.frame(frame)
    }

    /// The number of the stack that is `stack` (0 for none) and one more frame, good until [`number`](Self::number)
    /// rises.
    pub fn push(&mut self, stack: u32, frame: u32) -> u32 {
        self.open.push(stack, frame)
    }

    /// Number of the open generation. When it rises, numbers of frames and stacks that the store returned are no longer
    /// good.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Adds a sample with a stack whose number is known.
    pub fn record(&mut self, tick: Tick, cpu: u16, task: &TaskText<'_>, stack: u32, weight: Weight) {
        let process = self.process(&task.process);
        self.open.record(tick, cpu, (process, task), stack, weight);
        self.taken = self.taken.saturating_add(weight.samples);
        self.bound();
    }

    /// Adds lost records.
    pub fn lose(&mut self, tick: Tick, reason: &str, is_sample: bool, count: u64) {
        self.open.loss(tick, reason, is_sample, count);
        self.bound();
    }

    /// The number of a process in the open generation, with its ancestors as far as they are known by now: a parent may
    /// become known after the first sample.
    fn process(&mut self, process: &ProcessText<'_>) -> u32 {
        let id = self.open.process(process);
        let (mut child, mut key) = (id, process.key);
        for _ in 0..MOST_ANCESTORS {
            let Some(lineage) = self.lineage.as_ref().filter(|_| !self.open.has_parent(child)) else { break };
            let Some(parent) = lineage.get(key).and_then(|descent| descent.parent) else { break };
            let executable = lineage.get(parent).map_or("", |descent| &descent.executable);
            let known = self.open.ancestor(&ProcessText { key: parent, executable });
            self.open.set_parent(child, known);
            (child, key) = (known, parent);
        }
        id
    }

    /// Makes the store follow parents and ends of processes from now on.
    pub fn follow_processes(&mut self) {
        self.lineage.get_or_insert_default();
    }

    /// Notes a process's parent and end, for a store without a [`Feed`](crate::Feed).
    pub fn know_process(
        &mut self,
        key: ProcessKey,
        executable: &str,
        parent: Option<ProcessKey>,
        gone: Option<Tick>,
    ) {
        let Some(lineage) = &mut self.lineage else { return };
        if let Some(parent) = parent {
            lineage.fork(key, parent, KTime::ZERO);
        }
        lineage.runs(key, executable, KTime::ZERO);
        if let Some(at) = gone {
            lineage.end(key, at);
        }
    }

    /// Sets the step before which all samples have come. Generations that are older than the retention are dropped.
    pub fn advance(&mut self, tick: Tick) {
        self.complete = self.complete.max(tick - tick % TICKS_PER_SECOND);
        self.progress.0.store(self.complete, Ordering::Relaxed);
        let oldest = self.window().from;
        while self.sealed.front().is_some_and(|(generation, _)| generation.span.until <= oldest) {
            self.drop_oldest();
        }
        if let Some(lineage) = &mut self.lineage {
            // A process's samples come before its end, and each generation has the ancestors of its own processes.
            lineage.forget(self.complete.saturating_sub(ENDED_FOR).max(oldest));
        }
        let part = (self.limits.retention / PARTS).max(TICKS_PER_SECOND);
        if self.open.span.len() >= part && !self.open.is_empty() {
            self.seal();
        }
    }

    /// Ends the window behind the last sample: no more samples will come.
    pub fn finish(&mut self) {
        let last = self.generations().map(|generation| generation.span.until).max().unwrap_or_default();
        self.complete = self.complete.max(last.div_ceil(TICKS_PER_SECOND).saturating_mul(TICKS_PER_SECOND));
        self.progress.0.store(self.complete, Ordering::Relaxed);
        if !self.open.is_empty() {
            self.seal();
        }
    }

    fn bound(&mut self) {
        let most = self.limits.max_bytes;
        if self.open.bytes() > most / PARTS as usize {
            self.seal();
        }
        while self.bytes() > most && !self.sealed.is_empty() {
            if let Some((generation, _)) = self.sealed.front() {
                self.dropped_until = self.dropped_until.max(generation.span.until);
                self.dropped = self.dropped.saturating_add(generation.samples);
            }
            self.drop_oldest();
        }
    }

    fn seal(&mut self) {
        let mut generation = std::mem::replace(&mut self.open, Generation::new());
        generation.seal();
        let bytes = generation.bytes();
        self.sealed_bytes += bytes;
        self.sealed.push_back((generation, bytes));
        self.number += 1;
    }

    fn drop_oldest(&mut self) {
        if let Some((_, bytes)) = self.sealed.pop_front() {
            self.sealed_bytes = self.sealed_bytes.saturating_sub(bytes);
        }
    }

    /// Bytes that are held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sealed_bytes + self.open.bytes() + self.lineage.as_ref().map_or(0, Lineage::bytes)
    }

    /// The bounds of memory and time.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Number of samples that have come since the start, including those that are no longer held.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The store's progress, which can be read without waiting for the store's lock.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Number of samples that were dropped for want of memory since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The time that may be asked for: whole seconds, not older than the retention.
    #[must_use]
    pub fn window(&self) -> Span {
        Span { from: self.complete.saturating_sub(self.limits.retention), until: self.complete }
    }

    /// The part of the [window](Self::window) whose samples are held, in whole seconds.
    #[must_use]
    pub fn held(&self) -> Span {
        let window = self.window();
        let spans = self.generations().map(|generation| generation.span).filter(|span| !span.is_empty());
        let first = spans.map(|span| span.from).min().unwrap_or(window.until);
        let first = first.max(self.dropped_until.div_ceil(TICKS_PER_SECOND).saturating_mul(TICKS_PER_SECOND));
        Span { from: first - first % TICKS_PER_SECOND, until: window.until }.within(window)
    }

    /// True if a part of the window was dropped for want of memory.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.dropped_until > self.window().from
    }

    /// Every generation, oldest first.
    pub fn generations(&self) -> impl Iterator<Item = &Generation> {
        self.sealed.iter().map(|(generation, _)| generation).chain([&self.open])
    }

    /// Whether a process has ended; `None` if this store does not follow processes.
    #[must_use]
    pub fn is_gone(&self, process: ProcessKey) -> Option<bool> {
        self.lineage.as_ref().map(|lineage| lineage.is_gone(process))
    }

    /// The step of an instant that is in Unix nanoseconds.
    #[must_use]
    pub fn tick(&self, unix: u64) -> Tick {
        Tick::try_from(unix.saturating_sub(self.epoch) / TICK_NANOS).unwrap_or(Tick::MAX)
    }

    /// The start of a step, in Unix milliseconds.
    #[must_use]
    pub fn unix_millis(&self, tick: Tick) -> u64 {
        (self.epoch.saturating_add(u64::from(tick).saturating_mul(TICK_NANOS))) / 1_000_000
    }
}
