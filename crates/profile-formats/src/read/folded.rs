//! Reading of folded stacks, ours or other tools': `frame;frame;frame number`, the outermost frame first.

use super::error::ReadError;
use super::full::add;
use crate::escape::unfolded;
use crate::folded::TRUNCATED;
use crate::model::{
    Amount, Bounds, FrameKind, Function, Line, Lines, Location, Profile, SampleKey, Stack, Tables, Thread,
    ValueType,
};
use crate::table::Id;

/// Reads lines; the first frame of each is its thread. Empty lines and those that begin with `#` are skipped.
pub(super) fn read(text: &str) -> Result<Profile, ReadError> {
    let mut profile = Profile::default();
    let texts = &mut profile.tables.texts;
    let (kind, unit) = (texts.intern("samples"), texts.intern("count"));
    let value_type =
        profile.tables.value_types.intern(ValueType { kind, unit, period_type: None, period: 0 });
    let other = SampleKey { stack: None, cut: None, thread: None, cpu: None, value_type, attributes: None };
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (stack, count) =
            line.trim_end().rsplit_once(' ').ok_or(ReadError::Folded { line: number + 1 })?;
        let value: i64 = count.parse().map_err(|_no_number| ReadError::Folded { line: number + 1 })?;
        let amount = Amount { value, count: u64::try_from(value).unwrap_or_default() };
        let key = key(stack, other, &mut profile.tables);
        add(&mut profile, key, other, amount);
    }
    Ok(profile)
}

fn key(stack: &str, other: SampleKey, tables: &mut Tables) -> Option<SampleKey> {
    let bounds = Bounds::default();
    let room = tables.stacks.len() < bounds.stacks && tables.texts.bytes() < bounds.text_bytes;
    let mut frames = stack.split(';').peekable();
    let thread = frames.next().map(unfolded).unwrap_or_default();
    let name = if room { Some(tables.texts.intern(&thread)) } else { tables.texts.find(&thread) };
    let thread =
        tables.threads.intern_within(Thread { process: None, tid: None, name: Some(name?) }, room)?;
    let cut = frames.next_if_eq(&TRUNCATED).and_then(|_cut| {
        if room { Some(tables.texts.intern("unknown")) } else { tables.texts.find("unknown") }
    });
    let mut caller: Option<Id<Stack>> = None;
    for frame in frames {
        let location = location(&unfolded(frame), tables, room)?;
        caller = Some(tables.stacks.intern_within(Stack { caller, location }, room)?);
    }
    Some(SampleKey { stack: caller, cut, thread: Some(thread), ..other })
}

fn location(name: &str, tables: &mut Tables, room: bool) -> Option<Id<Location>> {
    let name = if room { tables.texts.intern(name) } else { tables.texts.find(name)? };
    let function = Function { name, system_name: None, file: None, start_line: 0 };
    let function = tables.functions.intern_within(function, room)?;
    let lines = tables.lines.intern_within(Lines::from([Line { function, line: 0, column: 0 }]), room)?;
    let location = Location { mapping: None, address: 0, lines: Some(lines), kind: FrameKind::User };
    tables.locations.intern_within(location, room)
}
