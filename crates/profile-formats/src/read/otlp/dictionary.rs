//! The tables of a request. An entry is read when another first refers to it.

use otlp_profiles::attributes;
use protowire::{Fields, WireValue};

use super::entries::Entries;
use crate::model::{
    Attribute, Bounds, FrameKind, Function, Line, Lines, Location, Mapping, Stack, Tables, UNKNOWN, Value,
};
use crate::read::full;
use crate::table::Id;

/// Most functions that were inlined into one place, and most facts in one list.
const MOST_PARTS: usize = 1 << 12;
/// Most texts of a list that are joined to one text, and most bytes of the joined text.
const MOST_TEXTS: usize = 64;
const MOST_JOINED_BYTES: usize = 4 << 10;

/// The tables of a request.
#[derive(Debug, Default)]
pub(super) struct Dictionary<'a> {
    mappings: Entries<'a, Id<Mapping>>,
    locations: Entries<'a, Id<Location>>,
    functions: Entries<'a, Id<Function>>,
    strings: Entries<'a, Id<str>>,
    /// Facts; `None` for a fact whose value is of a kind that a profile cannot hold.
    attributes: Entries<'a, Option<Attribute>>,
    /// Stacks; `None` for a stack beyond the bounds, `Some(None)` for the empty one.
    stacks: Entries<'a, Option<Option<Id<Stack>>>>,
}

impl<'a> Dictionary<'a> {
    /// Adds the tables of a `ProfilesDictionary`.
    pub(super) fn add(&mut self, message: &'a [u8]) -> Result<(), &'static str> {
        for field in Fields(message) {
            let (number, value) = field?;
            match number {
                1 => self.mappings.push(value)?,
                2 => self.locations.push(value)?,
                3 => self.functions.push(value)?,
                5 => self.strings.push(value)?,
                6 => self.attributes.push(value)?,
                7 => self.stacks.push(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The text with this number.
    pub(super) fn text(&mut self, index: usize, tables: &mut Tables) -> Result<Id<str>, &'static str> {
        if let Some(known) = self.strings.known(index) {
            return Ok(known);
        }
        let raw = self.strings.raw.get(index).ok_or("a string that is not there")?;
        let id = full::text(raw, tables);
        Ok(self.strings.know(index, id))
    }

    /// The text with this number; `None` if it is empty.
    fn some_text(&mut self, index: usize, tables: &mut Tables) -> Result<Option<Id<str>>, &'static str> {
        let id = self.text(index, tables)?;
        Ok(Some(id).filter(|&id| !tables.text(id).is_empty()))
    }

    /// The fact with this number; `None` if a profile cannot hold its value.
    pub(super) fn attribute(
        &mut self,
        index: usize,
        tables: &mut Tables,
    ) -> Result<Option<Attribute>, &'static str> {
        if let Some(known) = self.attributes.known(index) {
            return Ok(known);
        }
        let raw = *self.attributes.raw.get(index).ok_or("an attribute that is not there")?;
        let (mut key, mut value, mut unit) = (0, None, 0);
        for field in Fields(raw) {
            let (number, of) = field?;
            match number {
                1 => key = of.index()?,
                2 => value = self.value(of.bytes()?, tables)?,
                3 => unit = of.index()?,
                _ => {}
            }
        }
        let (key, unit) = (self.some_text(key, tables)?, self.some_text(unit, tables)?);
        let attribute = key.zip(value).map(|(key, value)| Attribute { key, value, unit });
        Ok(self.attributes.know(index, attribute))
    }

    /// Adds the facts that a field refers to.
    pub(super) fn attributes(
        &mut self,
        list: &mut Vec<Attribute>,
        field: WireValue<'_>,
        tables: &mut Tables,
    ) -> Result<(), &'static str> {
        let mut most = MOST_PARTS.saturating_sub(list.len());
        let mut fault = None;
        field.numbers(|index| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            if fault.is_some() {
            } else if let Some(left) = most.checked_sub(1) {
                most = left;
                match self.attribute(index, tables) {
                    Ok(fact) => list.extend(fact),
                    Err(of_fact) => fault = Some(of_fact),
                }
            } else {
                fault = Some("a list of more than 4096 attributes");
            }
        })?;
        fault.map_or(Ok(()), Err)
    }

    /// Reads a `KeyValue`, a fact that refers to no table, as resources have them.
    pub(super) fn key_value(
        &mut self,
        message: &[u8],
        tables: &mut Tables,
    ) -> Result<Option<Attribute>, &'static str> {
        let (mut key, mut value) = (None, None);
        for field in Fields(message) {
            let (number, of) = field?;
            match number {
                1 => key = Some(full::text(of.bytes()?, tables)),
                2 => value = self.value(of.bytes()?, tables)?,
                3 => key = self.some_text(of.index()?, tables)?,
                _ => {}
            }
        }
        let key = key.filter(|&key| !tables.text(key).is_empty());
        Ok(key.zip(value).map(|(key, value)| Attribute { key, value, unit: None }))
    }

    /// Reads an `AnyValue`; `None` for a kind that a profile cannot hold.
    fn value(&mut self, message: &[u8], tables: &mut Tables) -> Result<Option<Value>, &'static str> {
        let mut value = None;
        for field in Fields(message) {
            let (number, of) = field?;
            match number {
                1 => value = Some(Value::Text(full::text(of.bytes()?, tables))),
                2 => value = Some(Value::Bool(of.number()? != 0)),
                3 => value = Some(Value::Int(of.signed()?)),
                4 => {
                    let text = f64::from_bits(of.number()?).to_string();
                    value = Some(Value::Text(full::text(text.as_bytes(), tables)));
                }
                5 => value = Some(Value::Text(self.texts(of.bytes()?, tables)?)),
                8 => value = Some(Value::Text(self.text(of.index()?, tables)?)),
                _ => {}
            }
        }
        Ok(value)
    }

    /// The texts of an `ArrayValue`, joined with commas; only the first of them if they are many or long.
    fn texts(&mut self, message: &[u8], tables: &mut Tables) -> Result<Id<str>, &'static str> {
        let (mut joined, mut number) = (String::new(), 0);
        'list: for field in Fields(message) {
            let (_, value) = field?;
            for field in Fields(value.bytes()?) {
                let (kind, of) = field?;
                if kind != 1 && kind != 8 {
                    continue;
                }
                if number >= MOST_TEXTS || joined.len() >= MOST_JOINED_BYTES {
                    break 'list;
                }
                if number > 0 {
                    joined.push_str(", ");
                }
                number += 1;
                let left = MOST_JOINED_BYTES.saturating_sub(joined.len());
                if kind == 1 {
                    let bytes = of.bytes()?;
                    let shown = bytes.get(..left).unwrap_or(bytes);
                    joined.push_str(&String::from_utf8_lossy(shown));
                } else {
                    let text = self.text(of.index()?, tables)?;
                    let text = tables.text(text).as_bytes();
                    joined.push_str(&String::from_utf8_lossy(text.get(..left).unwrap_or(text)));
                }
            }
        }
        Ok(full::text(joined.as_bytes(), tables))
    }

    /// The stack with this number; `None` if it is beyond the bounds. Number 0 is the empty one.
    pub(super) fn stack(
        &mut self,
        index: usize,
        tables: &mut Tables,
    ) -> Result<Option<Option<Id<Stack>>>, &'static str> {
        if let Some(known) = self.stacks.known(index) {
            return Ok(known);
        }
        let raw = *self.stacks.raw.get(index).ok_or("a stack that is not there")?;
        let bounds = Bounds::default();
        let (mut indices, mut is_long) = (Vec::new(), false);
        for field in Fields(raw) {
            let (number, of) = field?;
            if number == 1 {
                of.numbers(|index| {
                    is_long |= indices.len() >= bounds.stacks;
                    if !is_long {
                        indices.push(usize::try_from(index).unwrap_or(usize::MAX));
                    }
                })?;
            }
        }
        if is_long {
            return Ok(self.stacks.know(index, None));
        }
        let mut caller = None;
        for &location in indices.iter().rev() {
            let room = tables.stacks.len() < bounds.stacks && tables.texts.bytes() < bounds.text_bytes;
            let location = self.location(location, tables)?;
            match tables.stacks.intern_within(Stack { caller, location }, room) {
                Some(stack) => caller = Some(stack),
                None => return Ok(self.stacks.know(index, None)),
            }
        }
        Ok(self.stacks.know(index, Some(caller)))
    }

    fn location(&mut self, index: usize, tables: &mut Tables) -> Result<Id<Location>, &'static str> {
        if let Some(known) = self.locations.known(index) {
            return Ok(known);
        }
        let raw = *self.locations.raw.get(index).ok_or("a location that is not there")?;
        let (mut mapping, mut address, mut facts) = (None, 0, Vec::new());
        let mut lines = Lines::new();
        for field in Fields(raw) {
            let (number, of) = field?;
            match number {
                1 => mapping = self.mapping(of.index()?, tables)?,
                2 => address = of.number()?,
                3 if lines.len() >= MOST_PARTS => return Err("a location with more than 4096 lines"),
                3 => lines.extend(self.line(of.bytes()?, tables)?),
                4 => self.attributes(&mut facts, of, tables)?,
                _ => {}
            }
        }
        let kind = facts.iter().filter_map(|fact| frame_kind(fact, tables)).next_back();
        let kind = kind.unwrap_or(FrameKind::User);
        let mut lines = (!lines.is_empty()).then_some(lines);
        if let Some(name) =
            lines.as_deref().filter(|_| mapping.is_none()).and_then(|lines| memory(lines, tables))
        {
            lines = None;
            let is_known = tables.text(name) != UNKNOWN;
            let is_file = !is_memory(tables.text(name));
            let named = Mapping { start: 0, limit: 0, file_offset: 0, name, build_id: None, is_file };
            mapping = is_known.then(|| tables.mappings.intern(named));
        }
        let lines = lines.map(|lines| tables.lines.intern(lines));
        let id = tables.locations.intern(Location { mapping, address, lines, kind });
        Ok(self.locations.know(index, id))
    }

    /// Reads a `Line`; `None` if it refers to no function.
    fn line(&mut self, message: &[u8], tables: &mut Tables) -> Result<Option<Line>, &'static str> {
        let (mut function, mut line, mut column) = (0, 0, 0);
        for field in Fields(message) {
            let (number, of) = field?;
            match number {
                1 => function = of.index()?,
                2 => line = u32::try_from(of.signed()?).unwrap_or_default(),
                3 => column = u32::try_from(of.signed()?).unwrap_or_default(),
                _ => {}
            }
        }
        if function == 0 {
            return Ok(None);
        }
        Ok(Some(Line { function: self.function(function, tables)?, line, column }))
    }

    fn function(&mut self, index: usize, tables: &mut Tables) -> Result<Id<Function>, &'static str> {
        if let Some(known) = self.functions.known(index) {
            return Ok(known);
        }
        let raw = *self.functions.raw.get(index).ok_or("a function that is not there")?;
        let (mut name, mut system_name, mut file, mut start_line) = (0, 0, 0, 0);
        for field in Fields(raw) {
            let (number, of) = field?;
            match number {
                1 => name = of.index()?,
                2 => system_name = of.index()?,
                3 => file = of.index()?,
                4 => start_line = u32::try_from(of.signed()?).unwrap_or_default(),
                _ => {}
            }
        }
        let function = Function {
            name: self.text(name, tables)?,
            system_name: self.some_text(system_name, tables)?,
            file: self.some_text(file, tables)?,
            start_line,
        };
        let id = tables.functions.intern(function);
        Ok(self.functions.know(index, id))
    }

    /// The mapping with this number; number 0 is none.
    fn mapping(&mut self, index: usize, tables: &mut Tables) -> Result<Option<Id<Mapping>>, &'static str> {
        if index == 0 {
            return Ok(None);
        }
        if let Some(known) = self.mappings.known(index) {
            return Ok(Some(known));
        }
        let raw = *self.mappings.raw.get(index).ok_or("a mapping that is not there")?;
        let (mut start, mut limit, mut file_offset, mut name, mut facts) = (0, 0, 0, 0, Vec::new());
        for field in Fields(raw) {
            let (number, of) = field?;
            match number {
                1 => start = of.number()?,
                2 => limit = of.number()?,
                3 => file_offset = of.number()?,
                4 => name = of.index()?,
                5 => self.attributes(&mut facts, of, tables)?,
                _ => {}
            }
        }
        let name = self.text(name, tables)?;
        let build_id = build_id(&facts, tables);
        let is_file = build_id.is_some() || !is_memory(tables.text(name));
        let id = tables.mappings.intern(Mapping { start, limit, file_offset, name, build_id, is_file });
        Ok(Some(self.mappings.know(index, id)))
    }
}

/// True if a name is that of memory without a file.
fn is_memory(name: &str) -> bool {
    name == pdata::ANONYMOUS || name.is_empty() || (name.starts_with('[') && name.ends_with(']'))
}

/// The name of a location's memory, or the path of its file, if OTLP has that as a function: a mapping without a build
/// ID cannot be encoded.
fn memory(lines: &[Line], tables: &Tables) -> Option<Id<str>> {
    let [Line { function, line: 0, .. }] = *lines else { return None };
    let function = tables.functions.get(function).filter(|function| function.file.is_none())?;
    Some(function.name).filter(|&name| is_memory(tables.text(name)) || tables.text(name).starts_with('/'))
}

/// The kind of code that a fact names. A kind that neither the kernel nor a compiler makes is interpreted.
fn frame_kind(attribute: &Attribute, tables: &Tables) -> Option<FrameKind> {
    let Value::Text(kind) = attribute.value else { return None };
    if tables.text(attribute.key) != attributes::FRAME_TYPE {
        return None;
    }
    Some(match tables.text(kind) {
        attributes::FRAME_TYPE_KERNEL => FrameKind::Kernel,
        attributes::FRAME_TYPE_NATIVE | "go" | "rust" | "unknown" | "abort-marker" => FrameKind::User,
        _ => FrameKind::Interpreted,
    })
}

/// The identification of a file's content: the first of GNU build ID, Go build ID and hash that the facts have.
fn build_id(facts: &[Attribute], tables: &Tables) -> Option<Id<str>> {
    let find = |key: &str| {
        let found = facts.iter().find(|fact| tables.text(fact.key) == key)?;
        if let Value::Text(text) = found.value { Some(text) } else { None }
    };
    [attributes::BUILD_ID_GNU, attributes::BUILD_ID_GO, attributes::BUILD_ID_HTLHASH]
        .into_iter()
        .find_map(find)
}
