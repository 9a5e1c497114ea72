//! Reading of pprof profiles, ours or other tools'.

use std::collections::HashMap;

use otlp_profiles::attributes;
use pdata::UnixNanos;
use prost::Message;
use protowire::{Fields, WireValue};

use super::error::ReadError;
use super::full::{FactRoom, add};
use crate::model::{
    Amount, Attribute, Bounds, FrameKind, Function, Line, Lines, Location, Mapping, Process, ProcessIdentity,
    ProcessRef, Profile, SampleKey, Stack, Start, Tables, Thread, Value, ValueType,
};
use crate::pprof::proto;
use crate::table::Id;

/// Most entries of a table.
const MOST_ENTRIES: usize = 1 << 22;
/// Most bytes of a sample, a location or another part, which decoded takes some 16 times as many.
const MOST_PART_BYTES: usize = 1 << 20;
/// Most kinds of values.
const MOST_COLUMNS: usize = 64;

/// Reads a `perftools.profiles.Profile`, part by part: decoded as a whole message it would take many times its bytes,
/// since an empty sample has only two.
pub(super) fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let message = Parts::of(bytes)?;
    let mut profile = Profile::default();
    let start = u64::try_from(message.time_nanos).unwrap_or_default();
    let duration = u64::try_from(message.duration_nanos).unwrap_or_default();
    profile.start = UnixNanos::from_nanos(start);
    profile.end = UnixNanos::from_nanos(start.saturating_add(duration));
    let mut reader = PprofReader { message: &message, locations: HashMap::new(), room: FactRoom::default() };
    reader.locations(&mut profile.tables)?;
    let columns = reader.columns(&mut profile.tables)?;
    for (number, sample) in message.samples().enumerate() {
        let sample = sample?;
        let stack = reader.stack(&sample, number, &mut profile.tables)?;
        let is_room = profile.samples.len() < Bounds::default().samples;
        let task = reader.task(&sample, is_room, &mut profile.tables);
        let stack_and_task = stack.zip(task);
        // The counted value of a row is its number of captures; a row without one was captured at least once.
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
            let key = stack_and_task.as_ref().map(|&(stack, Task { thread, cpu, cut, attributes })| {
                SampleKey { stack, cut, thread, cpu, value_type, attributes }
            });
            // The captures are counted for the first value only, whichever other values the row has.
            add(&mut profile, key, other, Amount { value, count: std::mem::take(&mut count) });
        }
    }
    Ok(profile)
}

/// The parts of a profile: repeated messages undecoded, the others decoded.
#[derive(Debug, Default)]
struct Parts<'a> {
    whole: &'a [u8],
    types: Vec<proto::ValueType>,
    strings: Vec<&'a str>,
    time_nanos: i64,
    duration_nanos: i64,
    period_type: Option<proto::ValueType>,
    period: i64,
}

impl<'a> Parts<'a> {
    fn of(whole: &'a [u8]) -> Result<Self, ReadError> {
        let mut parts = Self { whole, ..Self::default() };
        for field in Fields(whole) {
            let (number, value) = field.map_err(part)?;
            match number {
                1 if parts.types.len() >= MOST_COLUMNS => return Err(part("more than 64 kinds of values")),
                1 => parts.types.push(decode(value)?),
                6 if parts.strings.len() >= MOST_ENTRIES => return Err(part(TOO_MANY)),
                6 => {
                    let text = std::str::from_utf8(value.bytes().map_err(part)?);
                    parts.strings.push(text.map_err(|_no_text| part("a string that is no text"))?);
                }
                9 => parts.time_nanos = value.signed().map_err(part)?,
                10 => parts.duration_nanos = value.signed().map_err(part)?,
                11 => parts.period_type = Some(decode(value)?),
                12 => parts.period = value.signed().map_err(part)?,
                _ => {}
            }
        }
        Ok(parts)
    }

    /// The messages of a repeated field, decoded one at a time.
    fn all<T: Message + Default>(
        &self,
        wanted: u32,
    ) -> impl Iterator<Item = Result<T, ReadError>> + use<'a, T> {
        Fields(self.whole).numbered(wanted).map(|value| value.map_err(part).and_then(decode))
    }

    fn samples(&self) -> impl Iterator<Item = Result<proto::Sample, ReadError>> + use<'a> {
        self.all(2)
    }
}

const TOO_MANY: &str = "a table with more than 4 million entries";

fn part(fault: &'static str) -> ReadError {
    ReadError::PprofPart { fault }
}

fn decode<T: Message + Default>(value: WireValue<'_>) -> Result<T, ReadError> {
    let bytes = value.bytes().map_err(part)?;
    if bytes.len() > MOST_PART_BYTES {
        return Err(part("a sample or a location of more than a megabyte"));
    }
    T::decode(bytes).map_err(ReadError::Pprof)
}

/// Refuses a table with more than the most entries.
fn bounded(entries: usize) -> Result<(), ReadError> {
    if entries > MOST_ENTRIES { Err(part(TOO_MANY)) } else { Ok(()) }
}

struct PprofReader<'a> {
    message: &'a Parts<'a>,
    locations: HashMap<u64, Id<Location>>,
    room: FactRoom,
}

/// A column of values that is not derived from another column.
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
        let text = usize::try_from(index).ok().and_then(|index| self.message.strings.get(index));
        text.map_or("", |text| text)
    }

    fn text(&self, index: i64, tables: &mut Tables) -> Option<Id<str>> {
        let text = self.string(index);
        (!text.is_empty()).then(|| tables.texts.intern(text))
    }

    fn locations(&mut self, tables: &mut Tables) -> Result<(), ReadError> {
        let message = self.message;
        let mut mappings = HashMap::new();
        for mapping in message.all::<proto::Mapping>(3) {
            let mapping = mapping?;
            let name = tables.texts.intern(self.string(mapping.filename));
            let build_id = self.text(mapping.build_id, tables);
            let (start, limit, file_offset) =
                (mapping.memory_start, mapping.memory_limit, mapping.file_offset);
            let new = Mapping { start, limit, file_offset, name, build_id, is_file: true };
            mappings.insert(mapping.id, tables.mappings.intern(new));
            bounded(tables.mappings.len().max(mappings.len()))?;
        }
        let mut functions = HashMap::new();
        for function in message.all::<proto::Function>(5) {
            let function = function?;
            let new = Function {
                name: tables.texts.intern(self.string(function.name)),
                system_name: self.text(function.system_name, tables),
                file: self.text(function.filename, tables),
                start_line: u32::try_from(function.start_line).unwrap_or_default(),
            };
            functions.insert(function.id, tables.functions.intern(new));
            bounded(tables.functions.len().max(functions.len()))?;
        }
        for location in message.all::<proto::Location>(4) {
            let location = location?;
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
            bounded(tables.locations.len().max(self.locations.len()))?;
        }
        Ok(())
    }

    /// The columns of values, without a column that is another one times the period.
    fn columns(&self, tables: &mut Tables) -> Result<Vec<Column>, ReadError> {
        let (message, period) = (self.message, self.message.period);
        let types = &message.types;
        let kind = |kind: &proto::ValueType| (self.string(kind.r#type), self.string(kind.unit));
        let period_type = message.period_type.as_ref().map(kind);
        let derived = types.iter().position(|of| Some(kind(of)) == period_type);
        let base = types.iter().position(|of| kind(of).1 == "count");
        let pair = base.zip(derived).filter(|(base, derived)| base != derived && period > 0);
        let pair = match pair {
            Some(pair) if self.is_derived(pair)? => Some(pair),
            _ => None,
        };
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
        Ok(columns)
    }

    /// True if the second column is the first times the period in every sample.
    fn is_derived(&self, (base, derived): (usize, usize)) -> Result<bool, ReadError> {
        for sample in self.message.samples() {
            let sample = sample?;
            let values = sample.value.get(base).zip(sample.value.get(derived));
            if values.is_none_or(|(base, derived)| base.checked_mul(self.message.period) != Some(*derived)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The stack of a sample; `None` if it is beyond the bounds.
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

    /// The thread, CPU and further facts of a sample's labels; `None` if its thread is new and there is no room.
    fn task(&mut self, sample: &proto::Sample, is_room: bool, tables: &mut Tables) -> Option<Task> {
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
        let thread = match has_thread {
            true => Some(tables.threads.intern_within(Thread { process, tid, name }, is_room)?),
            false => None,
        };
        let attributes = self.room.list(free, tables);
        Some(Task { thread, cpu, cut, attributes })
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
