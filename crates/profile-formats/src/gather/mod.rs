//! Gathering of the pipeline's events into a profile.

mod places;
mod rekey;
mod roll_up;
mod settle;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use otlp_profiles::attributes;
use pdata::{Batch, ClockOffset, Event, KTime, Measure, OffCpuReason, ProcessEvent, Sample, UnixNanos};
use rustc_hash::FxHashMap;
use windows::{Gather, Grouping};

use self::places::Places;
use self::roll_up::RollUp;
use self::settle::settle;
use self::tasks::Tasks;
use crate::model::{
    Amount, Attribute, Bounds, Capture, Loss, Marker, MarkerKind, Profile, SampleKey, Stack, Value, ValueType,
};
use crate::table::Id;

/// Settings of a [`Gatherer`]: its bounds, and which events it keeps beside samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatherSettings {
    /// Bounds of the profile.
    pub bounds: Bounds,
    /// Whether the profile holds the instant of each sample.
    pub captures: bool,
    /// Whether the profile holds events of processes, and the spans in which samples were lost.
    pub markers: bool,
}

/// Gathers samples, losses and events of processes into a [`Profile`].
///
/// Every sample is counted, in bounded memory: samples beyond the bounds are counted under one stack. A file that is
/// read while samples are gathered has its build ID and addresses in all of them.
#[derive(Debug)]
pub struct Gatherer {
    settings: GatherSettings,
    /// One clock offset for all times, so that a step of the wall clock falls between profiles.
    clock: ClockOffset,
    /// The profile so far. Its locations have provisional numbers, those of `places`, until it is finished.
    profile: Profile,
    places: Places,
    tasks: Tasks,
    roll_up: RollUp,
    value_types: FxHashMap<Option<Duration>, Id<ValueType>>,
    reasons: FxHashMap<OffCpuReason, Id<Box<[Attribute]>>>,
    /// The first and the last instant of a sample.
    span: Option<(UnixNanos, UnixNanos)>,
}

impl Gatherer {
    /// Makes an empty gatherer. All times are converted by `clock`, that of the batch with the first event.
    #[must_use]
    pub fn new(clock: ClockOffset, settings: GatherSettings) -> Self {
        Self {
            settings,
            clock,
            profile: Profile::default(),
            places: Places::default(),
            tasks: Tasks::new(clock, settings.bounds.processes),
            roll_up: RollUp::default(),
            value_types: FxHashMap::default(),
            reasons: FxHashMap::default(),
            span: None,
        }
    }

    /// Has images leave in groups by `grouping`. Samples, values, instants and losses stay the same; threads of a group
    /// have no number unless it is of one process.
    #[must_use]
    pub fn rolled_up(self, grouping: Grouping) -> Self {
        Self { roll_up: RollUp::by(grouping), ..self }
    }

    /// Takes the end of a process for a grouping of short-lived ones, and nothing else of the event.
    pub fn process_for_grouping(&mut self, event: &ProcessEvent) {
        self.roll_up.process(event);
    }

    /// Adds all events of a batch, for a caller without [windows](windows::EventWindows).
    pub fn push(&mut self, batch: &Batch) {
        for event in batch.events.iter() {
            match event {
                Event::Sample(sample) => self.sample(sample),
                Event::Loss(loss) => self.loss(loss),
                Event::Process(event) => self.process(event),
                Event::Census(_) => {}
            }
        }
    }

    /// True if no sample has been gathered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.profile.samples.is_empty()
    }

    /// Number of captures so far.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.profile.samples.captured()
    }

    /// A kernel time by the wall clock, as the profile has it.
    #[must_use]
    pub fn unix(&self, at: KTime) -> UnixNanos {
        self.clock.unix(at)
    }

    /// The losses so far, by reason.
    #[must_use]
    pub fn losses(&self) -> &BTreeMap<Box<str>, Loss> {
        &self.profile.losses
    }

    /// Adds the losses of an earlier span in which no sample was gathered.
    pub fn carry(&mut self, losses: &BTreeMap<Box<str>, Loss>) {
        for (reason, &loss) in losses {
            self.profile.add_loss(reason, loss);
        }
    }

    /// The profile of the span from `from` until `until`, widened so that it holds late samples.
    #[must_use]
    pub fn finish(self, from: KTime, until: KTime) -> Profile {
        let Self { mut profile, places, tasks, roll_up, clock, span, .. } = self;
        let (from, until) = (clock.unix(from), clock.unix(until));
        let (first, last) = span.unwrap_or((from, from));
        profile.start = from.min(first);
        profile.end = until.max(UnixNanos::from_nanos(last.as_nanos().saturating_add(1)));
        tasks.finish(&mut profile.tables.processes);
        settle(&places, &mut profile);
        roll_up.finish(&mut profile, clock);
        profile
    }

    /// True if new names and files still fit within the bounds.
    fn has_room(&self) -> bool {
        let (tables, bounds) = (&self.profile.tables, &self.settings.bounds);
        tables.texts.bytes() < bounds.text_bytes && !self.places.is_full()
    }

    fn value_type(&mut self, measure: Measure) -> Id<ValueType> {
        let period = match measure {
            Measure::OnCpu { period } => Some(period),
            Measure::OffCpu { .. } => None,
        };
        let texts = &mut self.profile.tables.texts;
        let value_types = &mut self.profile.tables.value_types;
        *self.value_types.entry(period).or_insert_with(|| {
            let nanoseconds = texts.intern("nanoseconds");
            value_types.intern(match period {
                Some(period) => ValueType {
                    kind: texts.intern("samples"),
                    unit: texts.intern("count"),
                    period_type: Some((texts.intern("cpu"), nanoseconds)),
                    period: nanos(period),
                },
                // The value is in nanoseconds, so one of them is the period.
                None => {
                    let kind = texts.intern("off_cpu");
                    ValueType { kind, unit: nanoseconds, period_type: Some((kind, nanoseconds)), period: 1 }
                }
            })
        })
    }

    fn reason(&mut self, measure: Measure) -> Option<Id<Box<[Attribute]>>> {
        let Measure::OffCpu { reason, .. } = measure else { return None };
        let tables = &mut self.profile.tables;
        Some(*self.reasons.entry(reason).or_insert_with(|| {
            let key = tables.texts.intern(attributes::OFF_CPU_REASON);
            let value = Value::Text(tables.texts.intern(reason.as_str()));
            tables.attributes.intern([Attribute { key, value, unit: None }].into())
        }))
    }

    /// The stack of a sample; `None` if it is beyond the bounds.
    fn stack(&mut self, sample: &Sample, room: bool) -> Option<Id<Stack>> {
        let tables = &mut self.profile.tables;
        let room = room && tables.stacks.len() < self.settings.bounds.stacks;
        let frames = &sample.stack.frames;
        if frames.is_empty() {
            let location = self.places.nowhere(sample.running.is_kernel(), tables, room)?;
            return tables.stacks.intern_within(Stack { caller: None, location }, room);
        }
        let mut caller = None;
        for frame in frames.iter().rev() {
            let location = self.places.location(frame, tables, room)?;
            caller = Some(tables.stacks.intern_within(Stack { caller, location }, room)?);
        }
        caller
    }

    /// Adds an amount to the sample of this key; one that is beyond the bounds is added to a sample of
    /// [`OTHER`](crate::OTHER)'s stack.
    fn add(&mut self, key: SampleKey, amount: Amount, fits: bool) -> Id<SampleKey> {
        let room = self.profile.samples.len() < self.settings.bounds.samples;
        if fits && let Some(id) = self.profile.samples.add_within(key, amount, room) {
            return id;
        }
        self.profile.beyond_bounds = self.profile.beyond_bounds.saturating_add(amount.count);
        let location = self.places.other(&mut self.profile.tables);
        let stack = self.profile.tables.stacks.intern(Stack { caller: None, location });
        let key = SampleKey { stack: Some(stack), cut: None, ..key };
        if let Some(id) = self.profile.samples.add_within(key, amount, room) {
            return id;
        }
        let key = SampleKey { thread: None, cpu: None, ..key };
        self.profile.samples.add(key, amount)
    }

    fn capture(&mut self, at: UnixNanos, sample: Id<SampleKey>, value: i64) {
        if self.profile.captures.len() < self.settings.bounds.captures {
            self.profile.captures.push(Capture { at, sample, value });
        } else {
            self.profile.untimed = self.profile.untimed.saturating_add(1);
        }
    }

    fn mark(&mut self, marker: Marker) {
        if !self.settings.markers {
            return;
        }
        if self.profile.markers.len() < self.settings.bounds.markers {
            self.profile.markers.push(marker);
        } else {
            self.profile.markers_dropped = self.profile.markers_dropped.saturating_add(1);
        }
    }
}

impl Gather for Gatherer {
    const PROCESSES: bool = true;

    fn sample(&mut self, sample: &Sample) {
        let room = self.has_room();
        let at = self.clock.unix(sample.at);
        let value = match sample.measure {
            Measure::OnCpu { .. } => 1,
            Measure::OffCpu { blocked, .. } => nanos(blocked),
        };
        let threads_fit = room && self.profile.samples.len() < self.settings.bounds.samples;
        let thread = self.tasks.thread(sample, &mut self.profile.tables, threads_fit);
        let of_thread = thread.and_then(|thread| self.profile.tables.threads.get(thread));
        self.roll_up.sample(sample, of_thread.and_then(|thread| thread.process));
        let stack = self.stack(sample, room);
        let cut = sample.stack.end.cut();
        let key = SampleKey {
            stack,
            cut: cut.map(|cut| self.profile.tables.texts.intern(cut)),
            thread,
            cpu: Some(sample.cpu),
            value_type: self.value_type(sample.measure),
            attributes: self.reason(sample.measure),
        };
        let id = self.add(key, Amount { value, count: 1 }, stack.is_some() && thread.is_some());
        if self.settings.captures {
            self.capture(at, id, value);
        }
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn loss(&mut self, loss: &pdata::Loss) {
        let (reason, count) = (loss.reason.as_str(), loss.count);
        self.profile.add_loss(reason, Loss { count, samples: loss.reason.is_sample() });
        let reason = self.profile.tables.texts.intern(reason);
        let (since, at) = (self.clock.unix(loss.from), self.clock.unix(loss.until));
        self.mark(Marker { at, process: None, kind: MarkerKind::Loss { reason, count, since } });
    }

    fn process(&mut self, event: &ProcessEvent) {
        self.roll_up.process(event);
        let room = self.has_room();
        if let Some(marker) = self.tasks.event(event, &mut self.profile.tables, room) {
            self.mark(marker);
        }
    }
}

/// A duration in nanoseconds, `i64::MAX` at most.
fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
