//! Tables of a unit's code: its functions, its inlined functions and its lines.

use super::functions::{Facts, FunctionRange, Functions, InlinedRange, UnitStarts};
use super::index::Index;
use super::parts::DebugParts;
use super::room::{Room, TableError};
use super::rows::{FileAt, Rows};
use super::sections::dwarf;
use super::shared::Shared;
use super::split;
use super::unit::UnitRoot;
use super::window::{Effort, SectionBytes};
use crate::{SourceLine, SymbolError};

/// The most functions that are looked at for one address, where they claim to overlap.
const MOST_OVERLAPPING: usize = 64;

/// Other files that have parts of a file's debug information, as far as they are known.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// The file that has what several files share; `None` if the file shares nothing with others.
    pub(super) shared: Option<Shared>,
    /// True once there was no package of split units to be had.
    pub(super) lacks_package: bool,
}

impl Elsewhere {
    pub(super) fn memory(&self) -> usize {
        self.shared.as_ref().map_or(0, Shared::memory)
    }
}

/// The tables of a unit.
#[derive(Debug)]
pub(super) struct UnitTables {
    functions: Functions,
    rows: Rows,
    /// True if a part of the unit in another file could not be had, and may be had later.
    pub(super) lacks_part: bool,
}

impl UnitTables {
    /// Reads the unit at an offset of `.debug_info`, of whose file `sections` are.
    pub(super) fn read(
        sections: &[SectionBytes<'_>],
        effort: &Effort,
        (at, index): (usize, &Index),
        room: &mut Room,
        (elsewhere, parts): (&mut Elsewhere, &mut dyn DebugParts),
    ) -> Result<Self, TableError> {
        let Elsewhere { shared, lacks_package } = elsewhere;
        let found = shared.as_ref().map_or(Ok(None), |shared| shared.find(parts));
        let mut lacks_part = found.is_err();
        let file = found.unwrap_or_default();
        let shared = match (shared, &file) {
            // A function whose name is not there has that of its symbol.
            (Some(shared), Some(file)) => {
                let before = shared.memory();
                lacks_part |= shared.read(&**file, effort, room.0 / 2).is_err();
                room.take(shared.memory().saturating_sub(before))?;
                shared.open(&**file, effort)
            }
            _ => None,
        };
        let mut main = dwarf(sections).ok_or(gimli::Error::MissingUnitDie)?;
        if let Some(shared) = shared.as_ref().and_then(|shared| dwarf(&shared.sections)) {
            main.set_sup(shared);
        }
        let header = main.unit_header(gimli::DebugInfoOffset(at))?;
        let root = UnitRoot::read(&main, effort, header)?;
        let mut rows = Rows::read(&main, effort, &root, room)?;
        let units = UnitStarts {
            own: &index.units,
            shared: shared.as_ref().map(|shared| shared.units).unwrap_or_default(),
        };
        let mut functions = match root.split_unit() {
            None => Functions::read(&main, effort, (&root.unit, units), room)?,
            Some(wanted) => {
                let found = split::functions(&wanted, (&main, &root), effort, room, (parts, lacks_package));
                // The lines are there without the other file.
                found.map_err(|error| error.reason(effort)).unwrap_or_else(|error| {
                    lacks_part |= matches!(error, SymbolError::Read(_));
                    Functions::default()
                })
            }
        };
        if let Some(shared) = &shared {
            rows.take_texts(&mut functions.texts, &shared.sections, room)?;
            functions.take_texts(&shared.sections, room)?;
        }
        Ok(Self { functions, rows, lacks_part })
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
        let function = facts
            .name
            .map_or(Ok(None), |name| name.read(sections, &self.functions.texts))?
            .unwrap_or_default();
        let file = place.and_then(|(file, _)| self.rows.file(file));
        let file = file.map_or(Ok(None), |file| self.path(sections, file))?;
        Ok(SourceLine { function, file, line: place.map_or(0, |(_, line)| line), start_line: facts.line })
    }

    /// The path of a file, of three parts: each part that is relative goes below the part before it.
    fn path(&self, sections: &[SectionBytes<'_>], file: FileAt) -> Result<Option<String>, TableError> {
        let mut path = String::new();
        for part in [self.rows.directory(), file.directory, file.name] {
            let Some(part) = part.map_or(Ok(None), |part| part.read(sections, &self.functions.texts))? else {
                continue;
            };
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
