//! The functions of a unit, and the functions that were inlined into them.

use std::collections::BTreeMap;
use std::rc::Rc;

use gimli::constants as dw;
use gimli::{Attribute, AttributeValue, Dwarf, UnitOffset};

use super::room::{Room, TableError};
use super::text::{TakenTexts, TextAt};
use super::unit::{RangeAttributes, Unit, UnitRoot};
use super::window::{Effort, SectionBytes, Window};

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
    /// Names from files that have been closed.
    pub(super) texts: TakenTexts,
}

/// Offsets of the units of files in `.debug_info`, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitStarts<'a> {
    /// The offsets of the units of the file that the unit at hand is in.
    pub(super) own: &'a [usize],
    /// The offsets of the units of the file that shares entries with others.
    pub(super) shared: &'a [usize],
}

impl UnitStarts<'_> {
    /// The offset of the unit that holds an entry.
    fn of(self, entry: EntryAt) -> Option<usize> {
        let units = if entry.is_shared { self.shared } else { self.own };
        let after = units.partition_point(|start| *start <= entry.offset);
        units.get(after.checked_sub(1)?).copied()
    }
}

/// The place of an entry: its file, and its offset in `.debug_info` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EntryAt {
    is_shared: bool,
    offset: usize,
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
        (unit, units): (&Unit<'a>, UnitStarts<'_>),
        room: &mut Room,
    ) -> Result<Self, TableError> {
        let mut walk =
            Walk { dwarf, effort, unit, units, room, out: Found::default(), others: BTreeMap::new() };
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
            texts: TakenTexts::default(),
        })
    }

    /// Takes the names that are in those sections: they will be closed.
    pub(super) fn take_texts(
        &mut self,
        sections: &[SectionBytes<'_>],
        room: &mut Room,
    ) -> Result<(), TableError> {
        for facts in &mut self.facts {
            facts.name = facts.name.map_or(Ok(None), |name| self.texts.take(name, sections, room))?;
        }
        Ok(())
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.ranges)
            + size_of_val(&*self.functions)
            + size_of_val(&*self.inlined)
            + size_of_val(&*self.facts)
            + self.texts.memory()
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
    by_entry: BTreeMap<EntryAt, u32>,
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
    units: UnitStarts<'w>,
    room: &'w mut Room,
    out: Found,
    /// Other units by their offsets.
    others: BTreeMap<EntryAt, Rc<Unit<'a>>>,
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
        let facts = match origin.and_then(|origin| target(self.unit, origin, false)) {
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
        let offset = self.unit.header.offset().0.saturating_add(at.0);
        self.facts_at(EntryAt { is_shared: false, offset })
    }

    /// The facts of an entry.
    fn facts_at(&mut self, at: EntryAt) -> Result<u32, TableError> {
        if let Some(&known) = self.out.by_entry.get(&at) {
            return Ok(known);
        }
        let facts = self.follow(at)?;
        let number = self.add_facts(facts)?;
        // A node of a tree takes about three times as much as its contents.
        self.room.take(3 * size_of::<(EntryAt, u32)>())?;
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
    fn follow(&mut self, at: EntryAt) -> Result<Facts, TableError> {
        let (mut facts, mut next) = (Facts::default(), Some(at));
        for _hop in 0..MOST_HOPS {
            let Some((at, start)) = next.and_then(|at| Some((at, self.units.of(at)?))) else { break };
            let found = if !at.is_shared && start == self.unit.header.offset().0 {
                self.read(self.unit, at)?
            } else {
                let other = self.other(EntryAt { offset: start, ..at })?;
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

    /// The file that an entry is in.
    fn file_of(&self, at: EntryAt) -> Result<&Dwarf<Window<'a>>, TableError> {
        let shared = || self.dwarf.sup().ok_or(gimli::Error::MissingUnitDie);
        Ok(if at.is_shared { shared()? } else { self.dwarf })
    }

    /// Another unit, by where it begins.
    fn other(&mut self, start: EntryAt) -> Result<Rc<Unit<'a>>, TableError> {
        if let Some(known) = self.others.get(&start) {
            return Ok(Rc::clone(known));
        }
        let dwarf = self.file_of(start)?;
        let header = dwarf.unit_header(gimli::DebugInfoOffset(start.offset))?;
        let unit = Rc::new(UnitRoot::read(dwarf, self.effort, header)?.unit);
        if self.others.len() >= MOST_OTHERS {
            self.others.clear();
        }
        self.others.insert(start, Rc::clone(&unit));
        Ok(unit)
    }

    /// The facts that one entry has itself.
    fn read(&self, unit: &Unit<'a>, at: EntryAt) -> Result<EntryFacts, TableError> {
        let dwarf = self.file_of(at)?;
        let offset = UnitOffset(at.offset.saturating_sub(unit.header.offset().0));
        let mut entries = unit.entries_raw(Some(offset))?;
        let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(EntryFacts::default()) };
        self.effort.spend(abbreviation.attributes().len() as u64)?;
        let mut found = EntryFacts::default();
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            let text = || Some(TextAt::of(&dwarf.attr_string(unit, attribute.value()).ok()?));
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
                    found.origin = target(unit, attribute.value(), at.is_shared);
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The place of the entry that a reference of a unit leads to.
fn target(unit: &Unit<'_>, reference: AttributeValue<Window<'_>>, is_shared: bool) -> Option<EntryAt> {
    match reference {
        AttributeValue::UnitRef(offset) => {
            Some(EntryAt { is_shared, offset: unit.header.offset().0.checked_add(offset.0)? })
        }
        AttributeValue::DebugInfoRef(offset) => Some(EntryAt { is_shared, offset: offset.0 }),
        AttributeValue::DebugInfoRefSup(offset) => Some(EntryAt { is_shared: true, offset: offset.0 }),
        _ => None,
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
    origin: Option<EntryAt>,
}
