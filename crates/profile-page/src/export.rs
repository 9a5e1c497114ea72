//! Conversion of a query's samples to a profile, for the formats of other tools.

use pdata::UnixNanos;
use profile_formats::{
    Amount, Capture, FrameKind, Function, Id, Line, Location, Loss, Mapping, Process, ProcessIdentity,
    ProcessRef, Profile, SampleKey, Stack, Start, Thread, ValueType,
};
use profile_store::{FrameFlags, FrameText, Kind, Query, Row, Rules, SampleText, Store, TICK_NANOS, rows};

use crate::rules::shown;

/// The samples of a query as a profile, with the frames that the rules leave; the query's baseline and grouping do not
/// apply. The instants of samples are included if `with_instants`. `None` if the profile takes more than about
/// `most_bytes`.
pub(crate) fn profile_within(
    store: &Store,
    query: &Query,
    with_instants: bool,
    most_bytes: usize,
) -> Option<Profile> {
    let export = export(store, query, with_instants, most_bytes);
    (export.bytes() <= most_bytes).then_some(export.profile)
}

fn export<'a>(store: &'a Store, query: &Query, with_instants: bool, most_bytes: usize) -> Export<'a> {
    let mut export = Export::new(store, query, with_instants);
    rows(store, query, |row| match row {
        // A profile that is larger than `most_bytes` grows no further.
        Row::Sample(_) if export.bytes() > most_bytes => {}
        Row::Sample(sample) => export.sample(sample, &query.rules),
        Row::Loss { reason, is_sample, count } => {
            export.profile.add_loss(reason, Loss { count, samples: is_sample })
        }
    });
    export
}

/// Bytes that a sample, a thread with its process, and an instant of a profile take, about.
const PER_SAMPLE: usize = 160;
const PER_THREAD: usize = 480;
const PER_INSTANT: usize = 24;

struct Export<'a> {
    store: &'a Store,
    profile: Profile,
    with_instants: bool,
    samples: usize,
    threads: usize,
    on_cpu: ValueTypeTexts,
    off_cpu: ValueTypeTexts,
}

/// The texts of a kind of value.
struct ValueTypeTexts {
    kind: Id<str>,
    unit: Id<str>,
    period_type: Option<(Id<str>, Id<str>)>,
}

impl<'a> Export<'a> {
    fn new(store: &'a Store, query: &Query, with_instants: bool) -> Self {
        let at =
            |tick: u32| UnixNanos::from_nanos(store.epoch().saturating_add(u64::from(tick) * TICK_NANOS));
        let mut profile =
            Profile { start: at(query.span.from), end: at(query.span.until), ..Profile::default() };
        let texts = &mut profile.tables.texts;
        let (samples, count, cpu) = (texts.intern("samples"), texts.intern("count"), texts.intern("cpu"));
        let (off_cpu, nanos) = (texts.intern("off_cpu"), texts.intern("nanoseconds"));
        let unit = texts.intern(store.unit());
        let on_cpu = match store.unit() {
            "nanoseconds" => ValueTypeTexts { kind: samples, unit: count, period_type: Some((cpu, nanos)) },
            "count" => ValueTypeTexts { kind: samples, unit: count, period_type: None },
            _ => ValueTypeTexts { kind: samples, unit, period_type: None },
        };
        let off_cpu = ValueTypeTexts { kind: off_cpu, unit: nanos, period_type: None };
        Self { store, profile, with_instants, samples: 0, threads: 0, on_cpu, off_cpu }
    }

    /// Bytes that the profile takes, about.
    fn bytes(&self) -> usize {
        self.samples * PER_SAMPLE + self.threads * PER_THREAD + self.profile.captures.len() * PER_INSTANT
    }

    fn sample(&mut self, sample: &SampleText<'_>, rules: &Rules) {
        let weight = sample.weight;
        let samples = i64::try_from(weight.samples).unwrap_or(i64::MAX);
        let value = i64::try_from(weight.value).unwrap_or(i64::MAX);
        let is_counted = self.on_cpu.period_type.is_some() || self.store.unit() == "count";
        let (texts, period, value) = match weight.kind {
            Kind::OffCpu => (&self.off_cpu, 0, value),
            // Each sample stands for as much as any other of the same pattern.
            Kind::OnCpu if is_counted => {
                (&self.on_cpu, value.checked_div(samples).unwrap_or_default(), samples)
            }
            Kind::OnCpu => (&self.on_cpu, 0, value),
        };
        let value_type =
            ValueType { kind: texts.kind, unit: texts.unit, period_type: texts.period_type, period };
        let value_type = self.profile.tables.value_types.intern(value_type);
        let thread = self.thread(sample);
        let stack = match *rules == Rules::default() {
            true => self.stack(sample.frames),
            false => self.stack(&shown(sample.frames, rules)),
        };
        let cut = weight.truncated.then(|| self.profile.tables.texts.intern("truncated"));
        let key = SampleKey {
            stack,
            cut,
            thread: Some(thread),
            cpu: Some(sample.cpu.into()),
            value_type,
            attributes: None,
        };
        let id = self.profile.samples.add(key, Amount { value, count: weight.samples });
        self.samples = self.samples.max(id.index() + 1);
        self.threads = self.threads.max(thread.index() + 1);
        if self.with_instants && weight.samples == 1 {
            let at = self.store.epoch().saturating_add(u64::from(sample.tick) * TICK_NANOS);
            self.profile.captures.push(Capture { at: UnixNanos::from_nanos(at), sample: id, value });
        }
    }

    fn thread(&mut self, sample: &SampleText<'_>) -> Id<Thread> {
        let tables = &mut self.profile.tables;
        let task = &sample.task;
        let process =
            ProcessRef { pid: task.process.key.pid.0, start: Start::Boot(task.process.key.start_time) };
        let path = tables.texts.intern(task.process.executable);
        let name = tables.texts.intern(task.process.executable.rsplit('/').next().unwrap_or_default());
        let is_file = task.process.executable.starts_with('/');
        // An image is identified by its executable alone: samples do not keep its number.
        let exec_count = u32::try_from(path.index()).unwrap_or(u32::MAX);
        let identity =
            ProcessIdentity { process: Some(process), exec_count, resolved: is_file, facts: Box::default() };
        let process = tables.processes.intern(identity, || Process {
            process: Some(process),
            name: Some(name),
            path: is_file.then_some(path),
            kernel: task.process.executable.starts_with('['),
            ..Process::default()
        });
        let name = (!task.thread.is_empty()).then(|| tables.texts.intern(task.thread));
        tables.threads.intern(Thread { process: Some(process), tid: Some(task.tid), name })
    }

    fn stack(&mut self, frames: &[FrameText<'_>]) -> Option<Id<Stack>> {
        let mut stack = None;
        let mut at = 0;
        while let Some(frame) = frames.get(at) {
            if *frame == FrameText::TRUNCATED {
                at += 1;
                continue;
            }
            // An inlined function comes after the function that it was inlined into.
            let rest = frames.get(at + 1..).unwrap_or_default();
            let inlined = rest.iter().take_while(|next| next.flags.has(FrameFlags::INLINE)).count();
            let place = frames.get(at..=at + inlined).unwrap_or_default();
            let location = self.location(frame, place);
            stack = Some(self.profile.tables.stacks.intern(Stack { caller: stack, location }));
            at += 1 + inlined;
        }
        stack
    }

    /// A place in the code with its functions, the outermost first.
    fn location(&mut self, frame: &FrameText<'_>, place: &[FrameText<'_>]) -> Id<Location> {
        let tables = &mut self.profile.tables;
        let mapping = (!frame.module.is_empty()).then(|| Mapping {
            start: 0,
            limit: 0,
            file_offset: 0,
            name: tables.texts.intern(frame.module),
            build_id: (!frame.build_id.is_empty()).then(|| tables.texts.intern(frame.build_id)),
            is_file: frame.module.starts_with('/'),
        });
        let mapping = mapping.map(|mapping| tables.mappings.intern(mapping));
        let named = place.iter().rev().filter(|frame| !frame.name.is_empty());
        let lines = named.map(|frame| {
            let function = Function {
                name: tables.texts.intern(frame.name),
                system_name: None,
                file: (!frame.file.is_empty()).then(|| tables.texts.intern(frame.file)),
                start_line: frame.line,
            };
            Line { function: tables.functions.intern(function), line: frame.line, column: 0 }
        });
        let lines: profile_formats::Lines = lines.collect();
        let lines = (!lines.is_empty()).then(|| tables.lines.intern(lines));
        let kind = match frame.flags.has(FrameFlags::KERNEL) {
            true => FrameKind::Kernel,
            false if frame.module == "[interpreted]" => FrameKind::Interpreted,
            false => FrameKind::User,
        };
        tables.locations.intern(Location { mapping, address: frame.address, lines, kind })
    }
}
