//! pprof of us or of others.

use std::collections::HashMap;

use otlp_profiles::attributes;
use pdata::UnixNanos;
use prost::Message as _;

use super::error::ReadError;
use super::full::add;
use crate::model::{
    Amount, Attribute, Bounds, FrameKind, Function, Line, Lines, Location, Mapping, Process, ProcessIdentity,
    ProcessRef, Profile, SampleKey, Stack, Start, Tables, Thread, Value, ValueType,
};
use crate::pprof::proto;
use crate::table::Id;

/// Reads a `perftools.profiles.Profile`.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let message = proto::Profile::decode(bytes).map_err(ReadError::Pprof)?;
    let mut profile = Profile::default();
    let start = u64::try_from(message.time_nanos).unwrap_or_default();
    let duration = u64::try_from(message.duration_nanos).unwrap_or_default();
    profile.start = UnixNanos::from_nanos(start);
    profile.end = UnixNanos::from_nanos(start.saturating_add(duration));
    let mut reader = PprofReader { message: &message, locations: HashMap::new() };
    reader.locations(&mut profile.tables);
    let columns = reader.columns(&mut profile.tables);
    for (number, sample) in message.sample.iter().enumerate() {
        let stack = reader.stack(sample, number, &mut profile.tables)?;
        let Task { thread, cpu, cut, attributes } = reader.task(sample, &mut profile.tables);
        // What a row counts is how often it was captured; a row that counts nothing was at least once.
        let counted = columns.iter().find(|column| column.counts);
        let count = counted.and_then(|column| sample.value.get(column.index)).copied();
        let mut count = u64::try_from(count.unwrap_or(1)).unwrap_or_default();
        for column in &columns {
            let value = sample.value.get(column.index).copied().unwrap_or_default();
            if value == 0 {
                continue;
            }
            let value_type = column.value_type;
            let other =
                SampleKey { stack: None, cut: None, thread: None, cpu: None, value_type, attributes: None };
            let key = stack.map(|stack| SampleKey { stack, cut, thread, cpu, value_type, attributes });
            // Counted once, whatever else is measured of it.
            add(&mut profile, key, other, Amount { value, count: std::mem::take(&mut count) });
        }
    }
    Ok(profile)
}

struct PprofReader<'a> {
    message: &'a proto::Profile,
    locations: HashMap<u64, Id<Location>>,
}

/// A column of values that is not derived from another.
struct Column {
    index: usize,
    value_type: Id<ValueType>,
    counts: bool,
}

struct Task {
    thread: Option<Id<Thread>>,
    cpu: Option<u32>,
    cut: Option<Id<str>>,
    attributes: Option<Id<Box<[Attribute]>>>,
}

impl<'a> PprofReader<'a> {
    fn string(&self, index: i64) -> &'a str {
        let table = &self.message.string_table;
        usize::try_from(index).ok().and_then(|index| table.get(index)).map_or("", String::as_str)
    }

    fn text(&self, index: i64, tables: &mut Tables) -> Option<Id<str>> {
        let text = self.string(index);
        (!text.is_empty()).then(|| tables.texts.intern(text))
    }

    fn locations(&mut self, tables: &mut Tables) {
        let message = self.message;
        let mut mappings = HashMap::new();
        for mapping in &message.mapping {
            let name = tables.texts.intern(self.string(mapping.filename));
            let build_id = self.text(mapping.build_id, tables);
            let (start, limit, file_offset) =
                (mapping.memory_start, mapping.memory_limit, mapping.file_offset);
            let new = Mapping { start, limit, file_offset, name, build_id, is_file: true };
            mappings.insert(mapping.id, tables.mappings.intern(new));
        }
        let mut functions = HashMap::new();
        for function in &message.function {
            let new = Function {
                name: tables.texts.intern(self.string(function.name)),
                system_name: self.text(function.system_name, tables),
                file: self.text(function.filename, tables),
                start_line: u32::try_from(function.start_line).unwrap_or_default(),
            };
            functions.insert(function.id, tables.functions.intern(new));
        }
        for location in &message.location {
            let lines = location.line.iter().filter_map(|line| {
                Some(Line {
                    function: *functions.get(&line.function_id)?,
                    line: u32::try_from(line.line).unwrap_or_default(),
                    column: u32::try_from(line.column).unwrap_or_default(),
                })
            });
            let lines: Lines = lines.collect();
            let lines = (!lines.is_empty()).then(|| tables.lines.intern(lines));
            let mapping = mappings.get(&location.mapping_id).copied();
            let new = Location { mapping, address: location.address, lines, kind: FrameKind::User };
            self.locations.insert(location.id, tables.locations.intern(new));
        }
    }

    /// The columns; one that is another times the period is left out.
    fn columns(&self, tables: &mut Tables) -> Vec<Column> {
        let (message, period) = (self.message, self.message.period);
        let types = &message.sample_type;
        let kind = |kind: &proto::ValueType| (self.string(kind.r#type), self.string(kind.unit));
        let period_type = message.period_type.as_ref().map(kind);
        let derived = types.iter().position(|of| Some(kind(of)) == period_type);
        let base = types.iter().position(|of| kind(of).1 == "count");
        let pair = base.zip(derived).filter(|&(base, derived)| {
            let is = |sample: &proto::Sample| {
                let values = sample.value.get(base).zip(sample.value.get(derived));
                values.is_some_and(|(base, derived)| base.checked_mul(period) == Some(*derived))
            };
            base != derived && period > 0 && message.sample.iter().all(is)
        });
        let mut columns = Vec::new();
        for (index, of) in types.iter().enumerate() {
            if pair.is_some_and(|(_, derived)| derived == index) {
                continue;
            }
            let (name, unit) = kind(of);
            let has_period = pair.is_some_and(|(base, _)| base == index);
            let mut text = |text| tables.texts.intern(text);
            let (name, unit_text) = (text(name), text(unit));
            let period_type = period_type.filter(|_| has_period).map(|(name, unit)| (text(name), text(unit)));
            let period = if has_period { period } else { 0 };
            let value_type =
                tables.value_types.intern(ValueType { kind: name, unit: unit_text, period_type, period });
            columns.push(Column { index, value_type, counts: unit == "count" });
        }
        columns
    }

    /// The stack of a sample; `None` if it does not fit in.
    fn stack(
        &self,
        sample: &proto::Sample,
        number: usize,
        tables: &mut Tables,
    ) -> Result<Option<Option<Id<Stack>>>, ReadError> {
        let room = tables.stacks.len() < Bounds::default().stacks;
        let mut caller = None;
        for id in sample.location_id.iter().rev() {
            let dangling = ReadError::Dangling { sample: number, what: "a location" };
            let location = *self.locations.get(id).ok_or(dangling)?;
            match tables.stacks.intern_within(Stack { caller, location }, room) {
                Some(stack) => caller = Some(stack),
                None => return Ok(None),
            }
        }
        Ok(Some(caller))
    }

    /// What the labels of a sample say.
    fn task(&self, sample: &proto::Sample, tables: &mut Tables) -> Task {
        let (mut process, mut identity) = (Process::default(), None);
        let (mut tid, mut name, mut cpu, mut cut) = (None, None, None, None);
        let mut free = Vec::new();
        for label in &sample.label {
            let number = u32::try_from(label.num).ok().filter(|_| label.str == 0);
            let text = self.text(label.str, tables);
            match self.string(label.key) {
                attributes::PROCESS_PID => {
                    identity = number.map(|pid| ProcessRef { pid, start: Start::Unknown });
                }
                attributes::EXEC_COUNT => process.exec_count = number,
                attributes::PROCESS_EXECUTABLE_NAME => process.name = text,
                attributes::PROCESS_EXECUTABLE_PATH => process.path = text,
                attributes::SERVICE_NAME => process.service = text,
                attributes::UNRESOLVED => process.unresolved = true,
                attributes::THREAD_ID => tid = number,
                attributes::THREAD_NAME => name = text,
                attributes::CPU_LOGICAL_NUMBER => cpu = number,
                attributes::STACK_TRUNCATED => cut = text,
                "" => {}
                key => {
                    let key = tables.texts.intern(key);
                    let unit = self.text(label.num_unit, tables);
                    free.push(Attribute {
                        key,
                        value: text.map_or(Value::Int(label.num), Value::Text),
                        unit,
                    });
                }
            }
        }
        process.process = identity;
        let process = identity.and_then(|_| intern(process, tables));
        let has_thread = process.is_some() || tid.is_some() || name.is_some();
        let thread = has_thread.then(|| tables.threads.intern(Thread { process, tid, name }));
        let attributes = (!free.is_empty()).then(|| tables.attributes.intern(free.into()));
        Task { thread, cpu, cut, attributes }
    }
}

fn intern(process: Process, tables: &mut Tables) -> Option<Id<Process>> {
    let identity = ProcessIdentity {
        process: process.process,
        exec_count: process.exec_count.unwrap_or_default(),
        resolved: !process.unresolved,
        facts: Box::default(),
    };
    let room = tables.processes.len() < Bounds::default().processes;
    tables.processes.intern_within(identity, room, || process)
}
