//! Lines of source and inlined functions, from a file's debug information (DWARF).
//!
//! gimli reads entries and lines, through windows on the file, and only compact tables are kept, of the units that were
//! asked for. addr2line, which does all of that, keeps everything that it has read without a bound, and wants sections
//! whole: a file of some megabytes could have an agent that runs as root take any amount of memory. Here, whatever a
//! file contains, its tables take no more than their [`Limits`] and reading them no more than so many steps.

mod functions;
mod index;
mod parts;
mod room;
mod rows;
mod sections;
mod shared;
mod split;
mod supplementary;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod unit;
mod window;

use std::collections::BTreeMap;
use std::io;

use self::index::Index;
pub use self::parts::{DebugPart, DebugParts};
use self::room::Room;
use self::sections::{FileKind, Sections, dwarf};
use self::shared::{Shared, SharedLink};
use self::tables::{Elsewhere, UnitTables};
use self::window::{Effort, PART, SectionBytes};
use crate::elf::Elf;
use crate::{ByteSource, Limits, SourceLine, SymbolError};

/// The most steps that finding a file's units may take, and reading one: about a third of a second each.
const INDEX_STEPS: u64 = 64 << 20;
const UNIT_STEPS: u64 = 64 << 20;
/// The most steps that reading the names of one address may take.
const NAME_STEPS: u64 = 1 << 20;
/// The most units that are kept, with those that are remembered to be of no use.
const MOST_UNITS: usize = 4096;

/// The lines and inlined functions of one ELF file.
#[derive(Debug)]
pub struct LineTables {
    sections: Sections,
    index: Index,
    units: Units,
    elsewhere: Elsewhere,
}

/// The units that have been read.
#[derive(Debug)]
struct Units {
    /// Tables of each unit, `None` for one that cannot be used, and the count of uses when it was last used.
    read: BTreeMap<u32, (Option<UnitTables>, u64)>,
    bytes: usize,
    max_bytes: usize,
    /// Count of uses.
    now: u64,
    /// Units in memory that lack a part which may be had later.
    partial: Vec<u32>,
}

impl LineTables {
    /// Finds the units of a file's debug information; `None` if it has none.
    ///
    /// # Errors
    /// [`SymbolError`] for a file that is damaged, needs more than `limits`, or cannot be read.
    pub fn open(source: &dyn ByteSource, limits: Limits) -> Result<Option<Self>, SymbolError> {
        let elf = Elf::read(source)?;
        let Some(sections) = Sections::find(source, &elf, FileKind::Own, (limits.memory, None))? else {
            return Ok(None);
        };
        let effort = Effort::new(INDEX_STEPS);
        let index = {
            let open = sections.open(source, &effort, 0);
            let dwarf = dwarf(&open).ok_or(SymbolError::Malformed { part: PART })?;
            let mut room = Room(limits.memory.saturating_sub(sections.memory()));
            Index::read(&dwarf, &effort, &mut room).map_err(|error| error.reason(&effort))?
        };
        let max_bytes = limits.memory.saturating_sub(sections.memory() + index.memory());
        let units = Units { read: BTreeMap::new(), bytes: 0, max_bytes, now: 0, partial: Vec::new() };
        let shared = SharedLink::of(source, &elf).map(Shared::new);
        let elsewhere = Elsewhere { shared, lacks_package: false };
        Ok(Some(Self { sections, index, units, elsewhere }))
    }

    /// Bytes that these tables hold in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let tables = self.sections.memory() + self.index.memory() + self.elsewhere.memory();
        size_of::<Self>() + tables + self.units.bytes
    }

    /// The lines of addresses, which are in the terms of the file's own symbols; the result has their order. The lines
    /// of an address have the innermost inlined function first and the function itself last, whose name is empty if the
    /// debug information does not have it; they are empty if nothing is known. `source` must be the source that
    /// [`open`](Self::open) has read. `parts` are asked for parts of the debug information in other files, each
    /// time that a unit is read which needs them.
    ///
    /// An address whose unit is damaged or too large has an error at first, and no lines from then on. One whose unit
    /// has not been read when the parts say that it is late has [`SymbolError::Read`], of the kind `TimedOut`.
    pub fn lines(
        &mut self,
        source: &dyn ByteSource,
        parts: &mut dyn DebugParts,
        addresses: &[u64],
    ) -> Vec<Result<Vec<SourceLine>, SymbolError>> {
        let effort = Effort::new(0);
        let sections = self.sections.open(source, &effort, 0);
        let lines = |&address: &u64| {
            for unit in self.index.units_at(address) {
                self.units.load(unit, &sections, &effort, &self.index, (&mut self.elsewhere, parts))?;
                effort.refill(NAME_STEPS);
                let Some(tables) = self.units.get(unit) else { continue };
                let lines = tables.lines(&sections, address).map_err(|error| error.reason(&effort))?;
                if !lines.is_empty() {
                    return Ok(lines);
                }
            }
            Ok(Vec::new())
        };
        addresses.iter().map(lines).collect()
    }

    /// Drops the units of which a part in another file could not be had, so that it is asked for again.
    pub fn forget_partial(&mut self) {
        for unit in std::mem::take(&mut self.units.partial) {
            self.units.remove(unit);
        }
    }
}

impl Units {
    fn get(&self, unit: u32) -> Option<&UnitTables> {
        self.read.get(&unit)?.0.as_ref()
    }

    /// Reads a unit, unless it is in memory: a unit that has made room for others is read again.
    fn load(
        &mut self,
        unit: u32,
        sections: &[SectionBytes<'_>],
        effort: &Effort,
        index: &Index,
        (elsewhere, parts): (&mut Elsewhere, &mut dyn DebugParts),
    ) -> Result<(), SymbolError> {
        self.now += 1;
        if let Some((_, used)) = self.read.get_mut(&unit) {
            *used = self.now;
            return Ok(());
        }
        if parts.is_late() {
            return Err(SymbolError::Read(io::ErrorKind::TimedOut.into()));
        }
        effort.refill(UNIT_STEPS);
        let at = usize::try_from(unit).ok().and_then(|unit| index.units.get(unit).copied());
        let Some(at) = at else { return Ok(()) };
        let mut room = Room(self.max_bytes.saturating_sub(elsewhere.memory()));
        let read = UnitTables::read(sections, effort, (at, index), &mut room, (&mut *elsewhere, parts));
        let read = read.map_err(|error| error.reason(effort));
        if let Err(error @ SymbolError::Read(_)) = read {
            // The unit may be readable later.
            return Err(error);
        }
        let (tables, error) = match read {
            Ok(tables) => (Some(tables), Ok(())),
            Err(error) => (None, Err(error)),
        };
        if tables.as_ref().is_some_and(|tables| tables.lacks_part) {
            self.partial.push(unit);
        }
        self.bytes += tables.as_ref().map_or(0, UnitTables::memory);
        self.read.insert(unit, (tables, self.now));
        self.make_room(elsewhere.memory());
        error
    }

    /// Drops units until the others are within bounds beside what takes `others` bytes, those used longest ago first.
    fn make_room(&mut self, others: usize) {
        while (self.bytes + others > self.max_bytes || self.read.len() > MOST_UNITS) && self.read.len() > 1 {
            let oldest = self.read.iter().min_by_key(|(_, (_, used))| *used).map(|(&unit, _)| unit);
            let Some(oldest) = oldest else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, unit: u32) {
        let tables = self.read.remove(&unit).and_then(|(tables, _)| tables);
        self.bytes -= tables.map_or(0, |tables| tables.memory());
    }
}
