//! The functions of a unit, and the functions that were inlined into them.

use std::collections::BTreeMap;
use std::rc::Rc;

use gimli::constants as dw;
use gimli::{Attribute, AttributeValue, Dwarf, UnitOffset};

use super::index::Index;
use super::room::{Room, TableError};
use super::text::TextAt;
use super::unit::{RangeAttributes, Unit, UnitRoot};
use super::window::{Effort, Window};

/// The longest way from a function's code to its name: from the code to the function that it is a copy of to that
/// function's declaration.
const MOST_HOPS: usize = 8;
/// The most other units that are kept at hand.
const MOST_OTHERS: usize = 16;

/// The functions of a unit.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// Code of the functions, by start.
    pub(super) ranges: Box<[FunctionRange]>,
    /// The functions, by the numbers in `function` of `FunctionRange` and `InlinedRange`.
    pub(super) functions: Box<[Function]>,
    /// Code of inlined functions, by function, depth and start.
    pub(super) inlined: Box<[InlinedRange]>,
    pub(super) facts: Box<[Facts]>,
}

/// Code of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct FunctionRange {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The end that is the highest of this and all ranges before it.
    pub(super) reach: u64,
    pub(super) function: u32,
}

/// A function, and the range of its inlined functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) facts: u32,
    /// The first and the one after the last of its inlined functions among all of the unit.
    pub(super) inlined: (usize, usize),
}

/// Code of a function that was inlined.
#[derive(Clone, Copy, Debug)]
pub(super) struct InlinedRange {
    /// Number of the function that the code is inlined into.
    function: u32,
    /// Number of other inlined functions that enclose this one.
    pub(super) depth: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) facts: u32,
    /// File of the call, by its number.
    pub(super) file: u32,
    pub(super) line: u32,
}

/// Facts of a function, the same in whatever code it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) name: Option<TextAt>,
    /// The line at which the function starts, or 0.
    pub(super) line: u32,
}

impl Functions {
    pub(super) fn read<'a>(
        dwarf: &Dwarf<Window<'a>>,
        effort: &Effort,
        (root, index): (&UnitRoot<'a>, &Index),
        room: &mut Room,
    ) -> Result<Self, TableError> {
        let unit = &root.unit;
        let mut walk =
            Walk { dwarf, effort, unit, index, room, out: Found::default(), others: BTreeMap::new() };
        walk.all()?;
        let Found { mut ranges, functions, mut inlined, facts, .. } = walk.out;
        ranges.sort_by_key(|range| range.start);
        let mut reach = 0;
        for range in &mut ranges {
            reach = range.end.max(reach);
            range.reach = reach;
        }
        inlined.sort_by_key(|range| (range.function, range.depth, range.start));
        let mut first = 0;
        let functions = (0..).zip(functions).map(|(number, facts)| {
            let own = inlined.get(first..).unwrap_or_default();
            let after = first + own.partition_point(|range| range.function <= number);
            Function { facts, inlined: (std::mem::replace(&mut first, after), after) }
        });
        Ok(Self {
            functions: functions.collect(),
            ranges: ranges.into(),
            inlined: inlined.into(),
            facts: facts.into(),
        })
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.ranges)
            + size_of_val(&*self.functions)
            + size_of_val(&*self.inlined)
            + size_of_val(&*self.facts)
    }
}

/// The facts that a walk has found.
#[derive(Debug, Default)]
struct Found {
    ranges: Vec<FunctionRange>,
    /// The facts of each function.
    functions: Vec<u32>,
    inlined: Vec<InlinedRange>,
    facts: Vec<Facts>,
    /// Facts by the entry that has them.
    by_entry: BTreeMap<usize, u32>,
}

/// An entry that encloses others.
#[derive(Clone, Copy, Debug)]
struct Open {
    depth: isize,
    /// Number of the entry's function; `None` if it has no code.
    function: Option<u32>,
    /// Number of inlined functions that the entry is in, itself included if it is one.
    inlined: u32,
}

/// A walk through the entries of a unit.
struct Walk<'w, 'a> {
    dwarf: &'w Dwarf<Window<'a>>,
    effort: &'w Effort,
    unit: &'w Unit<'a>,
    index: &'w Index,
    room: &'w mut Room,
    out: Found,
    /// Other units by their offsets.
    others: BTreeMap<usize, Rc<Unit<'a>>>,
}

impl<'a> Walk<'_, 'a> {
    fn all(&mut self) -> Result<(), TableError> {
        let mut entries = self.unit.entries_raw(None)?;
        let (mut open, mut attributes) = (Vec::<Open>::new(), Vec::new());
        while !entries.is_empty() {
            let (depth, at) = (entries.next_depth(), entries.next_offset());
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            // Some take no byte of the entry.
            self.effort.spend(abbreviation.attributes().len() as u64)?;
            while open.last().is_some_and(|last| last.depth >= depth) {
                open.pop();
            }
            let tag = abbreviation.tag();
            if ![dw::DW_TAG_subprogram, dw::DW_TAG_inlined_subroutine].contains(&tag) {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
            let (function, inlined) = match open.last() {
                _ if tag == dw::DW_TAG_subprogram => (self.function(at, &attributes)?, 0),
                Some(&Open { function: Some(function), inlined, .. }) => {
                    let has_code = self.inlined(function, inlined, &attributes)?;
                    (Some(function), inlined + u32::from(has_code))
                }
                _ => continue,
            };
            if abbreviation.has_children() {
                open.push(Open { depth, function, inlined });
            }
        }
        Ok(())
    }

    /// Adds a function; returns its number if it has code.
    fn function(
        &mut self,
        at: UnitOffset,
        attributes: &[Attribute<Window<'a>>],
    ) -> Result<Option<u32>, TableError> {
        let number = u32::try_from(self.out.functions.len()).map_err(|_many| TableError::Full)?;
        let mut ranges = RangeAttributes::default();
        attributes.iter().for_each(|attribute| ranges.take(attribute));
        let before = self.out.ranges.len();
        let (out, room) = (&mut self.out.ranges, &mut *self.room);
        ranges.each(self.dwarf, self.unit, |start, end| {
            room.take(size_of::<FunctionRange>())?;
            out.push(FunctionRange { start, end, reach: end, function: number });
            Ok::<_, TableError>(())
        })?;
        if out.len() == before {
            return Ok(None);
        }
        let facts = self.facts_of(at)?;
        self.room.take(size_of::<Function>())?;
        self.out.functions.push(facts);
        Ok(Some(number))
    }

    /// Adds a function that was inlined into another; true if it has code.
    fn inlined(
        &mut self,
        function: u32,
        depth: u32,
        attributes: &[Attribute<Window<'a>>],
    ) -> Result<bool, TableError> {
        let (mut ranges, mut file, mut line, mut origin) = (RangeAttributes::default(), 0, 0, None);
        let number = |value: u64| u32::try_from(value).unwrap_or(0);
        for attribute in attributes {
            ranges.take(attribute);
            match (attribute.name(), attribute.value()) {
                (dw::DW_AT_call_file, AttributeValue::FileIndex(index)) => file = number(index),
                (dw::DW_AT_call_line, value) => line = value.udata_value().map_or(0, number),
                (dw::DW_AT_abstract_origin, value) => origin = Some(value),
                _ => {}
            }
        }
        let facts = match origin.and_then(|origin| self.target(self.unit, origin)) {
            Some(origin) => self.facts_at(origin)?,
            None => self.add_facts(Facts::default())?,
        };
        let before = self.out.inlined.len();
        let (out, room) = (&mut self.out.inlined, &mut *self.room);
        ranges.each(self.dwarf, self.unit, |start, end| {
            room.take(size_of::<InlinedRange>())?;
            out.push(InlinedRange { function, depth, start, end, facts, file, line });
            Ok::<_, TableError>(())
        })?;
        Ok(out.len() > before)
    }

    fn facts_of(&mut self, at: UnitOffset) -> Result<u32, TableError> {
        self.facts_at(self.unit.header.offset().0.saturating_add(at.0))
    }

    /// The facts of the entry at an offset of `.debug_info`.
    fn facts_at(&mut self, at: usize) -> Result<u32, TableError> {
        if let Some(&known) = self.out.by_entry.get(&at) {
            return Ok(known);
        }
        let facts = self.follow(at)?;
        let number = self.add_facts(facts)?;
        // A node of a tree takes about three times as much as its contents.
        self.room.take(3 * size_of::<(usize, u32)>())?;
        self.out.by_entry.insert(at, number);
        Ok(number)
    }

    fn add_facts(&mut self, facts: Facts) -> Result<u32, TableError> {
        let number = u32::try_from(self.out.facts.len()).map_err(|_many| TableError::Full)?;
        self.room.take(size_of::<Facts>())?;
        self.out.facts.push(facts);
        Ok(number)
    }

    /// The facts of an entry, completed from the entries that it stands for.
    fn follow(&mut self, at: usize) -> Result<Facts, TableError> {
        let (mut facts, mut next) = (Facts::default(), Some(at));
        for _hop in 0..MOST_HOPS {
            let Some((at, start)) = next.and_then(|at| Some((at, self.index.unit_with(at)?))) else { break };
            let found = if start == self.unit.header.offset().0 {
                self.read(self.unit, at)?
            } else {
                let other = self.other(start)?;
                self.read(&other, at)?
            };
            facts.name = if found.is_linkage { found.name } else { facts.name.or(found.name) };
            facts.line = if facts.line == 0 { found.line } else { facts.line };
            if found.is_linkage {
                break;
            }
            next = found.origin;
        }
        Ok(facts)
    }

    /// Another unit of the file.
    fn other(&mut self, start: usize) -> Result<Rc<Unit<'a>>, TableError> {
        if let Some(known) = self.others.get(&start) {
            return Ok(Rc::clone(known));
        }
        let header = self.dwarf.unit_header(gimli::DebugInfoOffset(start))?;
        let unit = Rc::new(UnitRoot::read(self.dwarf, self.effort, header)?.unit);
        if self.others.len() >= MOST_OTHERS {
            self.others.clear();
        }
        self.others.insert(start, Rc::clone(&unit));
        Ok(unit)
    }

    /// The facts that one entry has itself.
    fn read(&self, unit: &Unit<'a>, at: usize) -> Result<EntryFacts, TableError> {
        let offset = UnitOffset(at.saturating_sub(unit.header.offset().0));
        let mut entries = unit.entries_raw(Some(offset))?;
        let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(EntryFacts::default()) };
        self.effort.spend(abbreviation.attributes().len() as u64)?;
        let mut found = EntryFacts::default();
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            let text = || Some(TextAt::of(&self.dwarf.attr_string(unit, attribute.value()).ok()?));
            match attribute.name() {
                dw::DW_AT_linkage_name | dw::DW_AT_MIPS_linkage_name => {
                    found.name = text().or(found.name);
                    found.is_linkage = true;
                }
                dw::DW_AT_name if !found.is_linkage => found.name = text(),
                dw::DW_AT_decl_line => {
                    let line = attribute.value().udata_value();
                    found.line = line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
                }
                dw::DW_AT_abstract_origin | dw::DW_AT_specification => {
                    found.origin = self.target(unit, attribute.value());
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Offset in `.debug_info` of the entry that a reference of a unit leads to.
    fn target(&self, unit: &Unit<'a>, reference: AttributeValue<Window<'a>>) -> Option<usize> {
        match reference {
            AttributeValue::UnitRef(offset) => unit.header.offset().0.checked_add(offset.0),
            AttributeValue::DebugInfoRef(offset) => Some(offset.0),
            _ => None,
        }
    }
}

/// The facts of a function that one entry has itself.
#[derive(Clone, Copy, Debug, Default)]
struct EntryFacts {
    name: Option<TextAt>,
    /// True if `name` is the linker's name.
    is_linkage: bool,
    line: u32,
    /// The entry that has the other facts.
    origin: Option<usize>,
}
