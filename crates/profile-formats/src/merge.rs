//! One profile added to another.

use crate::model::{
    Amount, Attribute, Bounds, Capture, Function, Line, Lines, Location, Mapping, Marker, MarkerKind, OTHER,
    Process, ProcessIdentity, Profile, SampleKey, Script, Stack, Tables, Thread, Value, ValueType,
};
use crate::table::Id;

/// The new number of each entry of a table; `None` for one that is beyond the bounds.
type Numbers<T> = Vec<Option<Id<T>>>;

impl Profile {
    /// Adds another profile: the number of captures is that of both together. Samples beyond the bounds are counted
    /// under one stack, as by a [`Gatherer`](crate::Gatherer).
    pub fn merge(&mut self, other: &Self, bounds: &Bounds) {
        let is_new = self.samples.is_empty() && self.end.as_nanos() == 0;
        self.start = if is_new { other.start } else { self.start.min(other.start) };
        self.end = self.end.max(other.end);
        let numbers = Renumbered::new(&mut self.tables, &other.tables, bounds);
        let samples = self.merge_samples(other, &numbers, bounds);
        for capture in &other.captures {
            let sample = samples.get(capture.sample.index()).copied();
            match sample.filter(|_| self.captures.len() < bounds.captures) {
                Some(sample) => self.captures.push(Capture { sample, ..*capture }),
                None => self.untimed = self.untimed.saturating_add(1),
            }
        }
        for marker in &other.markers {
            match numbers.marker(marker).filter(|_| self.markers.len() < bounds.markers) {
                Some(marker) => self.markers.push(marker),
                None => self.markers_dropped = self.markers_dropped.saturating_add(1),
            }
        }
        for (reason, &loss) in &other.losses {
            self.add_loss(reason, loss);
        }
        self.untimed = self.untimed.saturating_add(other.untimed);
        self.markers_dropped = self.markers_dropped.saturating_add(other.markers_dropped);
        self.beyond_bounds = self.beyond_bounds.saturating_add(other.beyond_bounds);
    }

    fn merge_samples(&mut self, other: &Self, numbers: &Renumbered, bounds: &Bounds) -> Vec<Id<SampleKey>> {
        let mut merged = Vec::with_capacity(other.samples.len());
        for (key, amount) in other.samples.iter() {
            let room = self.samples.len() < bounds.samples;
            let new = numbers.key(key);
            let added = new.and_then(|new| self.samples.add_within(new, amount, room));
            merged.push(added.unwrap_or_else(|| self.add_other(numbers.value_type(key.value_type), amount)));
        }
        merged
    }

    /// Adds an amount to the sample that stands for all beyond the bounds.
    pub(crate) fn add_other(&mut self, value_type: Id<ValueType>, amount: Amount) -> Id<SampleKey> {
        self.beyond_bounds = self.beyond_bounds.saturating_add(amount.count);
        let stack = Some(self.tables.other_stack());
        let key = SampleKey { stack, cut: None, thread: None, cpu: None, value_type, attributes: None };
        self.samples.add(key, amount)
    }
}

impl Tables {
    /// The stack that stands for all samples beyond the bounds.
    pub(crate) fn other_stack(&mut self) -> Id<Stack> {
        let name = self.texts.intern(OTHER);
        let function = self.functions.intern(Function { name, system_name: None, file: None, start_line: 0 });
        let lines = Some(self.lines.intern(Lines::from([Line { function, line: 0, column: 0 }])));
        let location = Location { mapping: None, address: 0, lines, kind: crate::FrameKind::User };
        let location = self.locations.intern(location);
        self.stacks.intern(Stack { caller: None, location })
    }
}

/// The new numbers of all entries of a profile's tables.
struct Renumbered {
    texts: Numbers<str>,
    stacks: Numbers<Stack>,
    processes: Numbers<Process>,
    threads: Numbers<Thread>,
    attributes: Numbers<Box<[Attribute]>>,
    value_types: Vec<Id<ValueType>>,
}

impl Renumbered {
    fn new(to: &mut Tables, from: &Tables, bounds: &Bounds) -> Self {
        let mut texts: Numbers<str> = Vec::with_capacity(from.texts.len());
        for (_, text) in from.texts.iter() {
            let room = to.texts.bytes() < bounds.text_bytes;
            texts.push(if room { Some(to.texts.intern(text)) } else { to.texts.find(text) });
        }
        // Names of kinds of values are few, and without them samples could not be counted, so they ignore the bounds.
        let value_types = from.value_types.iter().map(|(_, kind)| value_type(to, from, kind)).collect();
        let stacks = stacks(to, from, &texts, bounds);
        let processes = processes(to, from, &texts, bounds);
        let threads = threads(to, from, &texts, &processes, bounds);
        let lists = from.attributes.iter().map(|(_, list)| {
            let list: Option<Box<[_]>> = list.iter().map(|fact| attribute(fact, &texts)).collect();
            Some(to.attributes.intern(list?))
        });
        let attributes = lists.collect();
        Self { texts, stacks, processes, threads, attributes, value_types }
    }

    fn value_type(&self, old: Id<ValueType>) -> Id<ValueType> {
        self.value_types.get(old.index()).copied().unwrap_or(old)
    }

    /// A sample's key with the new numbers; `None` if a part of it is beyond the bounds.
    fn key(&self, key: &SampleKey) -> Option<SampleKey> {
        Some(SampleKey {
            stack: all(key.stack, |id| at(&self.stacks, id))?,
            cut: all(key.cut, |id| at(&self.texts, id))?,
            thread: all(key.thread, |id| at(&self.threads, id))?,
            attributes: all(key.attributes, |id| at(&self.attributes, id))?,
            cpu: key.cpu,
            value_type: self.value_type(key.value_type),
        })
    }

    fn marker(&self, marker: &Marker) -> Option<Marker> {
        let kind = match marker.kind {
            MarkerKind::Loss { reason, count, since } => {
                MarkerKind::Loss { reason: at(&self.texts, reason)?, count, since }
            }
            kind => kind,
        };
        let process = marker.process.and_then(|id| at(&self.processes, id));
        Some(Marker { at: marker.at, process, kind })
    }
}

fn value_type(to: &mut Tables, from: &Tables, kind: &ValueType) -> Id<ValueType> {
    let mut text = |id| to.texts.intern(from.text(id));
    let (kind_name, unit) = (text(kind.kind), text(kind.unit));
    let period_type = kind.period_type.map(|(name, unit)| (text(name), text(unit)));
    to.value_types.intern(ValueType { kind: kind_name, unit, period_type, period: kind.period })
}

fn stacks(to: &mut Tables, from: &Tables, texts: &Numbers<str>, bounds: &Bounds) -> Numbers<Stack> {
    let mappings: Numbers<Mapping> = renumber(from.mappings.iter(), |mapping: &Mapping| {
        let name = at(texts, mapping.name)?;
        let build_id = all(mapping.build_id, |id| at(texts, id))?;
        Some(to.mappings.intern(Mapping { name, build_id, ..*mapping }))
    });
    let functions: Numbers<Function> = renumber(from.functions.iter(), |function: &Function| {
        let name = at(texts, function.name)?;
        let system_name = all(function.system_name, |id| at(texts, id))?;
        let file = all(function.file, |id| at(texts, id))?;
        Some(to.functions.intern(Function { name, system_name, file, ..*function }))
    });
    let lines: Numbers<Lines> = renumber(from.lines.iter(), |lines: &Lines| {
        let lines = lines.iter().map(|line| Some(Line { function: at(&functions, line.function)?, ..*line }));
        Some(to.lines.intern(lines.collect::<Option<Lines>>()?))
    });
    let mut stacks: Numbers<Stack> = Vec::with_capacity(from.stacks.len());
    for (_, stack) in from.stacks.iter() {
        let caller = all(stack.caller, |id| at(&stacks, id));
        let room = to.stacks.len() < bounds.stacks;
        let location = from.locations.get(stack.location).and_then(|location| {
            let mapping = all(location.mapping, |id| at(&mappings, id))?;
            let lines = all(location.lines, |id| at(&lines, id))?;
            to.locations.intern_within(Location { mapping, lines, ..*location }, room)
        });
        let both = caller.zip(location);
        stacks.push(
            both.and_then(|(caller, location)| to.stacks.intern_within(Stack { caller, location }, room)),
        );
    }
    stacks
}

fn processes(to: &mut Tables, from: &Tables, texts: &Numbers<str>, bounds: &Bounds) -> Numbers<Process> {
    let text = |id: Option<Id<str>>| id.and_then(|id| at(texts, id));
    let mut numbers = Vec::with_capacity(from.processes.len());
    for (identity, process) in from.processes.identities() {
        let facts: Option<Box<[_]>> = identity.facts.iter().map(|fact| attribute(fact, texts)).collect();
        let Some(facts) = facts else {
            numbers.push(None);
            continue;
        };
        let identity = ProcessIdentity { facts, ..identity.clone() };
        let room = to.processes.len() < bounds.processes;
        let id = to.processes.intern_within(identity, room, Process::default);
        if let Some(known) = id.and_then(|id| to.processes.get_mut(id)) {
            let script = process.script.and_then(|script| {
                Some(Script { path: at(texts, script.path)?, interpreter: text(script.interpreter) })
            });
            *known = Process {
                name: text(process.name).or(known.name),
                service: text(process.service).or(known.service),
                path: text(process.path).or(known.path),
                own_path: text(process.own_path).or(known.own_path),
                script: script.or(known.script),
                parent: process.parent.or(known.parent),
                gone: process.gone.or(known.gone),
                group: process.group.iter().filter_map(|&name| at(texts, name)).collect(),
                attributes: process.attributes.iter().filter_map(|fact| attribute(fact, texts)).collect(),
                ..*process
            };
        }
        numbers.push(id);
    }
    numbers
}

fn threads(
    to: &mut Tables,
    from: &Tables,
    texts: &Numbers<str>,
    processes: &Numbers<Process>,
    bounds: &Bounds,
) -> Numbers<Thread> {
    renumber(from.threads.iter(), |thread: &Thread| {
        let process = thread.process.and_then(|id| at(processes, id));
        let name = thread.name.and_then(|id| at(texts, id));
        let room = to.threads.len() < bounds.samples;
        to.threads.intern_within(Thread { process, name, ..*thread }, room)
    })
}

fn attribute(fact: &Attribute, texts: &Numbers<str>) -> Option<Attribute> {
    let value = match fact.value {
        Value::Text(id) => Value::Text(at(texts, id)?),
        value => value,
    };
    Some(Attribute { key: at(texts, fact.key)?, value, unit: fact.unit.and_then(|id| at(texts, id)) })
}

fn renumber<'a, T: 'a>(
    entries: impl Iterator<Item = (Id<T>, &'a T)>,
    mut new: impl FnMut(&T) -> Option<Id<T>>,
) -> Numbers<T> {
    entries.map(|(_, entry)| new(entry)).collect()
}

fn at<T: ?Sized>(numbers: &Numbers<T>, id: Id<T>) -> Option<Id<T>> {
    numbers.get(id.index()).copied().flatten()
}

/// The new number of an optional reference; `None` if there is a reference and its entry is beyond the bounds.
fn all<T, U>(old: Option<T>, new: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    old.map_or(Some(None), |old| new(old).map(Some))
}
