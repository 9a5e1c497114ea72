//! Tables of a unit's code: its functions, its inlined functions and its lines.

use gimli::Dwarf;

use super::functions::{Facts, FunctionRange, Functions, InlinedRange};
use super::index::Index;
use super::room::{Room, TableError};
use super::rows::{FileAt, Rows};
use super::unit::UnitRoot;
use super::window::{Effort, SectionBytes, Window};
use crate::SourceLine;

/// The most functions that are looked at for one address, where they claim to overlap.
const MOST_OVERLAPPING: usize = 64;

/// The tables of a unit.
#[derive(Debug)]
pub(super) struct UnitTables {
    functions: Functions,
    rows: Rows,
}

impl UnitTables {
    /// Reads the unit that begins at an offset of `.debug_info`.
    pub(super) fn read(
        dwarf: &Dwarf<Window<'_>>,
        effort: &Effort,
        (at, index): (usize, &Index),
        room: &mut Room,
    ) -> Result<Self, TableError> {
        let header = dwarf.unit_header(gimli::DebugInfoOffset(at))?;
        let root = UnitRoot::read(dwarf, effort, header)?;
        let rows = Rows::read(dwarf, effort, &root, room)?;
        let functions = Functions::read(dwarf, effort, (&root, index), room)?;
        Ok(Self { functions, rows })
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.functions.memory() + self.rows.memory()
    }

    /// The lines of an address, the innermost inlined function first; empty if the unit knows none.
    pub(super) fn lines(
        &self,
        sections: &[SectionBytes<'_>],
        address: u64,
    ) -> Result<Vec<SourceLine>, TableError> {
        let mut place = self.rows.find(address);
        let Some(function) = self.function_at(address) else {
            let line = place.map(|place| self.line(sections, Facts::default(), Some(place)));
            return line.into_iter().collect();
        };
        let (mut lines, all) = (Vec::new(), &self.functions);
        let Some(own) = usize::try_from(function.function).ok().and_then(|at| all.functions.get(at)) else {
            return Ok(lines);
        };
        let inlined = all.inlined.get(own.inlined.0..own.inlined.1).unwrap_or_default();
        for call in inlined_at(inlined, address).into_iter().rev() {
            lines.push(self.line(sections, self.facts(call.facts), place)?);
            place = Some((call.file, call.line));
        }
        lines.push(self.line(sections, self.facts(own.facts), place)?);
        Ok(lines)
    }

    /// The code that holds an address, of the function that has the least of it.
    fn function_at(&self, address: u64) -> Option<FunctionRange> {
        let ranges = &self.functions.ranges;
        let after = ranges.partition_point(|range| range.start <= address);
        let before = ranges.get(..after)?.iter().rev().take(MOST_OVERLAPPING);
        let before = before.take_while(|range| range.reach > address).filter(|range| range.end > address);
        before.min_by_key(|range| range.end - range.start).copied()
    }

    fn facts(&self, number: u32) -> Facts {
        let facts = usize::try_from(number).ok().and_then(|number| self.functions.facts.get(number));
        facts.copied().unwrap_or_default()
    }

    fn line(
        &self,
        sections: &[SectionBytes<'_>],
        facts: Facts,
        place: Option<(u32, u32)>,
    ) -> Result<SourceLine, TableError> {
        let function = facts.name.map_or(Ok(None), |name| name.read(sections))?.unwrap_or_default();
        let file = place.and_then(|(file, _)| self.rows.file(file));
        let file = file.map_or(Ok(None), |file| self.path(sections, file))?;
        Ok(SourceLine { function, file, line: place.map_or(0, |(_, line)| line), start_line: facts.line })
    }

    /// The path of a file, of three parts: each part that is relative goes below the part before it.
    fn path(&self, sections: &[SectionBytes<'_>], file: FileAt) -> Result<Option<String>, TableError> {
        let mut path = String::new();
        for part in [self.rows.directory(), file.directory, file.name] {
            let Some(part) = part.map_or(Ok(None), |part| part.read(sections))? else { continue };
            if part.starts_with('/') || path.is_empty() {
                path = part;
            } else {
                path = path + "/" + &part;
            }
        }
        let has_name = file.name.is_some();
        Ok(Some(path).filter(|path| has_name && !path.is_empty()))
    }
}

/// The inlined functions that an address is in, the outermost first. `inlined` are those of one function, by depth.
fn inlined_at(inlined: &[InlinedRange], address: u64) -> Vec<InlinedRange> {
    let (mut found, mut rest) = (Vec::new(), inlined);
    while let Some(first) = rest.first() {
        let depth = first.depth;
        let (own, deeper) = rest.split_at(rest.partition_point(|range| range.depth == depth));
        let before = own.get(..own.partition_point(|range| range.start <= address)).unwrap_or_default();
        let Some(holds) = before.last().filter(|range| address < range.end) else { break };
        found.push(*holds);
        rest = deeper;
    }
    found
}
