//! Conversion of a profile to a store.

use pdata::{BootTime, Pid, ProcessKey, UnixNanos};
use profile_formats::{
    Amount, FrameKind, FrameView, Id, Process, ProcessRef, Profile, Quantity, SampleKey, Stack, Start,
    Thread, Value,
};
use profile_store::{
    FrameFlags, FrameText, Kind, Limits, ProcessText, Span, Store, TICK_NANOS, TICKS_PER_SECOND, TaskText,
    Tick, Weight,
};

/// Most bytes that a profile takes as a store: several times as many as the largest profile that can be read.
const MOST_BYTES: usize = 2 << 30;
/// The kind of values that measure time off the CPU.
const OFF_CPU: &str = "off_cpu";
/// The kind of values that measure time on a CPU.
const CPU: &str = "cpu";
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A store of a profile's samples of a quantity. Captures of which no instant is known are at its start.
#[must_use]
pub fn store(profile: &Profile, quantity: Quantity) -> Store {
    let mut store = empty(profile);
    let from = store.epoch();
    fill(&mut store, profile, quantity, profile.quantity(CPU), from);
    store.finish();
    let end = store.tick(profile.end.as_nanos());
    store.advance(end);
    store
}

/// A store of two profiles, placed one after the other whenever they were taken, and the span of each.
pub(crate) fn stores(before: (&Profile, Quantity), after: (&Profile, Quantity)) -> (Store, [Span; 2]) {
    let mut store = empty(before.0);
    let from = store.epoch();
    // If one profile measures no CPU time, both are compared by their counts.
    let measured = before.0.quantity(CPU).zip(after.0.quantity(CPU)).unzip();
    fill(&mut store, before.0, before.1, measured.0, from);
    let first = Span { from: 0, until: length(before.0) };
    let second = Span { from: first.until, until: first.until.saturating_add(length(after.0)) };
    let start = from.saturating_add(u64::from(first.until) * TICK_NANOS);
    fill(&mut store, after.0, after.1, measured.1, start);
    store.finish();
    store.advance(second.until);
    (store, [first, second])
}

fn empty(profile: &Profile) -> Store {
    Store::new(Limits { max_bytes: MOST_BYTES, retention: Tick::MAX }, second_of(profile))
}

/// The start of the second in which a profile starts, in Unix nanoseconds.
fn second_of(profile: &Profile) -> u64 {
    let start = profile.start.as_nanos();
    start - start % NANOS_PER_SECOND
}

/// Steps of the seconds that contain the profile; at least one second.
fn length(profile: &Profile) -> Tick {
    let last = profile.captures.iter().map(|capture| capture.at.as_nanos()).max().unwrap_or_default();
    let end = profile.end.as_nanos().max(last.saturating_add(1));
    let seconds = end.saturating_sub(second_of(profile)).div_ceil(NANOS_PER_SECOND).max(1);
    Tick::try_from(seconds).unwrap_or(Tick::MAX).saturating_mul(TICKS_PER_SECOND)
}

/// Adds a profile to a store, moved so that the second in which it starts is at `from`.
fn fill(store: &mut Store, profile: &Profile, main: Quantity, measured: Option<Quantity>, from: u64) {
    let stacks = || vec![None; profile.tables.stacks.len()];
    Import {
        profile,
        store,
        shift: from.wrapping_sub(second_of(profile)),
        main,
        measured,
        stacks: [stacks(), stacks()],
        executables: Vec::new(),
    }
    .run();
}

struct Import<'a> {
    profile: &'a Profile,
    store: &'a mut Store,
    /// Nanoseconds by which all instants are moved.
    shift: u64,
    /// The counted quantity.
    main: Quantity,
    /// The CPU time that the counted quantity stands for, if it does.
    measured: Option<Quantity>,
    /// Numbers of stacks in the store: of whole stacks, and of truncated ones.
    stacks: [Vec<Option<u32>>; 2],
    /// The name of each process's executable.
    executables: Vec<String>,
}

/// A sample's row in the store, apart from its step and its value.
struct Known {
    thread: Option<Id<Thread>>,
    cpu: u16,
    stack: u32,
    kind: Kind,
    truncated: bool,
}

impl Import<'_> {
    fn run(&mut self) {
        let profile = self.profile;
        if self.measured.is_none() {
            let (_, unit) = profile.quantity_name(self.main);
            let is_time = profile.quantity(OFF_CPU).is_some_and(|off| off == self.main);
            self.store.set_unit(if is_time { "nanoseconds" } else { unit });
        }
        self.processes();
        // The rest of each sample, after the captures with an instant have been subtracted.
        let mut left: Vec<Amount> = profile.samples.iter().map(|(_, amount)| amount).collect();
        let mut known: Vec<Option<Option<Known>>> = (0..left.len()).map(|_| None).collect();
        for capture in &profile.captures {
            let at = capture.sample.index();
            let Some((key, _)) = profile.samples.get(capture.sample) else { continue };
            let Some(rest) = left.get_mut(at) else { continue };
            rest.count = rest.count.saturating_sub(1);
            rest.value = rest.value.saturating_sub(capture.value);
            let tick = self.tick(capture.at);
            self.add(at, key, Amount { value: capture.value, count: 1 }, tick, &mut known);
        }
        let start = self.tick(profile.start);
        for (at, ((key, _), rest)) in profile.samples.iter().zip(left).enumerate() {
            // A row that counts another kind of value only has a value.
            if rest.count > 0 || rest.value != 0 {
                self.add(at, key, rest, start, &mut known);
            }
        }
        for (reason, loss) in &profile.losses {
            self.store.lose(start, reason, loss.samples, loss.count);
        }
        if profile.beyond_bounds > 0 {
            self.store.lose(start, "beyond_bounds_of_the_file", false, profile.beyond_bounds);
        }
    }

    /// The step of an instant of the profile.
    fn tick(&self, at: UnixNanos) -> Tick {
        self.store.tick(at.as_nanos().wrapping_add(self.shift))
    }

    fn add(
        &mut self,
        at: usize,
        key: &SampleKey,
        amount: Amount,
        tick: Tick,
        known: &mut [Option<Option<Known>>],
    ) {
        let Some(slot) = known.get_mut(at) else { return };
        if slot.is_none() {
            *slot = Some(self.know(key));
        }
        let Some(Some(found)) = slot else { return };
        let measured = match found.kind {
            Kind::OffCpu => amount.value,
            Kind::OnCpu => self.value(key, amount),
        };
        let weight = Weight {
            kind: found.kind,
            truncated: found.truncated,
            samples: self.samples(key, found.kind, amount),
            value: u64::try_from(measured).unwrap_or_default(),
        };
        let thread =
            ThreadOf(found.thread.and_then(|thread| self.profile.tables.threads.get(thread)).copied());
        self.store.record(
            tick,
            found.cpu,
            &thread.text(self.profile, &self.executables),
            found.stack,
            weight,
        );
    }

    /// The number of samples of an amount: its counted value if that is shown, else its number of captures.
    fn samples(&self, key: &SampleKey, kind: Kind, amount: Amount) -> u64 {
        let (_, unit) = self.profile.quantity_name(self.main);
        if kind == Kind::OffCpu || self.measured.is_some() || unit != "count" {
            return amount.count;
        }
        u64::try_from(self.profile.amount_of(self.main, key, amount)).unwrap_or_default()
    }

    /// The value of an amount: CPU time, or the main quantity unless that is a count.
    fn value(&self, key: &SampleKey, amount: Amount) -> i64 {
        if let Some(measured) = self.measured {
            return self.profile.amount_of(measured, key, amount);
        }
        let (_, unit) = self.profile.quantity_name(self.main);
        if unit == "count" { 0 } else { self.profile.amount_of(self.main, key, amount) }
    }

    /// The row of a sample; `None` for another kind of value, since a file may have several of the same stacks.
    fn know(&mut self, key: &SampleKey) -> Option<Known> {
        let value_type = self.profile.tables.value_types.get(key.value_type)?;
        let is_off = self.profile.tables.text(value_type.kind) == OFF_CPU;
        let one = Amount { value: 1, count: 1 };
        if !is_off && self.profile.amount_of(self.main, key, one) == 0 {
            return None;
        }
        Some(Known {
            thread: key.thread,
            cpu: key.cpu.and_then(|cpu| u16::try_from(cpu).ok()).unwrap_or_default(),
            stack: self.stack(key.stack, key.cut.is_some(), key),
            kind: if is_off { Kind::OffCpu } else { Kind::OnCpu },
            truncated: key.cut.is_some(),
        })
    }

    fn stack(&mut self, leaf: Option<Id<Stack>>, is_cut: bool, key: &SampleKey) -> u32 {
        let tables = &self.profile.tables;
        let module = key
            .thread
            .and_then(|thread| tables.threads.get(thread))
            .and_then(|thread| tables.process_of(thread));
        let module = tables.text_or_empty(module.and_then(|process| process.path));
        let mut root = 0;
        if is_cut {
            let frame = self.store.frame(&FrameText::TRUNCATED);
            root = self.store.push(root, frame);
        }
        let (mut path, mut next) = (Vec::new(), leaf);
        let known = self.stacks.get_mut(usize::from(is_cut));
        let Some(known) = known else { return root };
        let mut stack = loop {
            let Some(id) = next else { break root };
            if let Some(stack) = known.get(id.index()).copied().flatten() {
                break stack;
            }
            let Some(row) = tables.stacks.get(id) else { break root };
            path.push((id, row.location));
            // A caller has a lower number, so the walk ends whatever numbers a file has.
            next = row.caller.filter(|caller| *caller < id);
        };
        for (id, location) in path.into_iter().rev() {
            let Some(location) = tables.locations.get(location) else { continue };
            for frame in tables.frames(location).rev() {
                let frame = frame_of(tables, &frame, module, self.store);
                stack = self.store.push(stack, frame);
            }
            if let Some(slot) = known.get_mut(id.index()) {
                *slot = Some(stack);
            }
        }
        stack
    }

    fn processes(&mut self) {
        let tables = &self.profile.tables;
        let follows =
            tables.processes.iter().any(|(_, process)| process.gone.is_some() || process.parent.is_some());
        for (_, process) in tables.processes.iter() {
            let name = process.path.or(process.name).or(process.service);
            self.executables.push(name.map_or("[unknown]", |name| tables.text(name)).to_owned());
        }
        if !follows {
            return;
        }
        self.store.follow_processes();
        for ((_, process), executable) in tables.processes.iter().zip(&self.executables) {
            let Some(identity) = process.process else { continue };
            let parent = process.parent.map(key_of);
            let gone = process.gone.map(|gone| self.tick(gone));
            self.store.know_process(key_of(identity), executable, parent, gone);
        }
    }
}

/// A thread of the profile.
struct ThreadOf(Option<Thread>);

impl ThreadOf {
    fn text<'a>(&self, profile: &'a Profile, executables: &'a [String]) -> TaskText<'a> {
        let Some(thread) = self.0 else {
            let process = ProcessText { executable: "[unknown]", ..ProcessText::default() };
            return TaskText { process, ..TaskText::default() };
        };
        let tables = &profile.tables;
        let executable = thread.process.and_then(|process| executables.get(process.index()));
        let name = Some(tables.text_or_empty(thread.name)).filter(|name| !name.is_empty());
        // If the source knows no processes, the first frame is the best name of the program.
        let executable = executable.map(String::as_str).or(name);
        let process = tables.process_of(&thread);
        let key = process.and_then(|process| process.process).map(key_of).unwrap_or_default();
        TaskText {
            process: ProcessText { key, executable: executable.unwrap_or("[unknown]") },
            tid: thread.tid.unwrap_or_default(),
            thread: tables.text_or_empty(thread.name),
            container: process.map_or("", |process| container(profile, process)),
        }
    }
}

/// The container that a process is in, by the name that people know best.
fn container<'a>(profile: &'a Profile, process: &Process) -> &'a str {
    let tables = &profile.tables;
    let find = |wanted: &str| {
        let found = process.attributes.iter().find(|attribute| tables.text(attribute.key) == wanted)?;
        if let Value::Text(text) = found.value { Some(tables.text(text)) } else { None }
    };
    ["container.name", "container.id", "k8s.pod.name"].into_iter().find_map(find).unwrap_or_default()
}

fn key_of(process: ProcessRef) -> ProcessKey {
    let start = match process.start {
        Start::Unknown => 0,
        Start::Boot(at) => at.as_nanos(),
        Start::Unix(at) => at.as_nanos(),
    };
    ProcessKey { pid: Pid(process.pid), start_time: BootTime::from_nanos(start) }
}

fn frame_of(
    tables: &profile_formats::Tables,
    frame: &FrameView<'_>,
    executable: &str,
    store: &mut Store,
) -> u32 {
    let module = frame.mapping.map_or("", |mapping| tables.text(mapping.name));
    let mut flags = FrameFlags::NONE;
    if frame.kind == FrameKind::Kernel {
        flags = flags.and(FrameFlags::KERNEL);
    } else if !module.is_empty() && module == executable {
        flags = flags.and(FrameFlags::PROGRAM);
    }
    if frame.inlined {
        flags = flags.and(FrameFlags::INLINE);
    }
    let module = match frame.kind {
        FrameKind::Kernel if module.is_empty() => "[kernel]",
        FrameKind::Interpreted if module.is_empty() => "[interpreted]",
        _ => module,
    };
    let build_id = tables.text_or_empty(frame.mapping.and_then(|mapping| mapping.build_id));
    store.frame(&FrameText {
        name: if frame.named { &frame.name } else { "" },
        module,
        build_id,
        file: frame.file,
        // The function's start, not the sample's line: all lines of a function are one frame.
        line: frame.start_line,
        address: if frame.named { 0 } else { frame.address },
        flags,
    })
}
