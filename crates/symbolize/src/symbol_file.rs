//! An ELF file and the functions in it.

use object::elf::{ET_DYN, ET_EXEC, SHT_DYNSYM, SHT_SYMTAB};

use crate::demangle::{Demangle, demangle};
use crate::elf::{Elf, Segment};
use crate::flatten::{Candidate, flatten};
use crate::go::GoTables;
use crate::names::{NameKind, NameRef, Strings};
use crate::outline::Outline;
use crate::source_line::SourceLine;
use crate::symbols::SymbolSection;
use crate::table::{Entry, Table, TableBuilder};
use crate::{ByteSource, SymbolError, debug_data, dynamic, plt};

/// Bounds on the memory for a file.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that the tables of a file may take in memory, also while they are put together. A file whose
    /// symbols are nested on purpose may take three times as much for that time.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 48 << 20 }
    }
}

/// Bytes that a symbol takes while a table is put together: once as the file has it, and once as the table has it.
const SYMBOL: usize = size_of::<Candidate<NameRef>>() + size_of::<Entry>();

/// The function that an address is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The first address of the range to which the name applies.
    pub start: u64,
    /// The first address after the range.
    pub end: u64,
    /// The function's name as the linker has it; of a stub that calls `f`, `f@plt`.
    pub name: String,
    /// The lines that the address is at, the innermost inlined function first and the function itself last; empty if
    /// nothing but the function's name is known.
    pub lines: Vec<SourceLine>,
}

/// The symbol tables of one ELF file. Names stay in the file until they are asked for.
#[derive(Debug)]
pub struct SymbolFile {
    segments: Box<[Segment]>,
    table: Table,
    strings: AllStrings,
    go: Option<GoTables>,
    outline: Outline,
}

/// The string tables of a file.
#[derive(Debug, Default)]
struct AllStrings {
    symtab: Strings,
    dynsym: Strings,
    packed: Strings,
}

impl SymbolFile {
    /// Reads the symbol tables of a file.
    ///
    /// # Errors
    /// [`SymbolError::OtherFormat`] for a file that is no program, library or debug file, and any other error for one
    /// that is damaged or larger than `limits`. A file without symbols is no error: no address of it has a name.
    pub fn open<S: ByteSource + ?Sized>(source: &S, limits: Limits) -> Result<Self, SymbolError> {
        let mut elf = Elf::read(source)?;
        dynamic::add_sections(source, &mut elf);
        let elf = elf;
        // Addresses in objects that are not linked are relative to sections.
        if ![ET_EXEC, ET_DYN].contains(&elf.kind) {
            return Err(SymbolError::OtherFormat);
        }
        let most = limits.memory / SYMBOL;
        let table =
            |kind, section| Some(SymbolSection { elf: &elf, section: elf.section_of(section)?, kind });
        let symtab = table(NameKind::Symtab, SHT_SYMTAB).filter(|table| table.section.has_bytes());
        let dynsym = table(NameKind::Dynsym, SHT_DYNSYM);
        let mut functions: Vec<Candidate<NameRef>> = Vec::new();
        for table in [symtab, dynsym].into_iter().flatten() {
            table.functions(source, most, &mut functions)?;
        }
        plt::add_stubs(source, &elf, dynsym, most, &mut functions)?;
        let packed = add(&mut functions, |functions| {
            debug_data::functions(source, &elf, (most, limits.memory), functions)
        });
        let go = add(&mut functions, |functions| {
            let go = GoTables::find(source, &elf);
            go.iter().try_for_each(|go| go.functions(source, most, functions)).map(|()| go)
        });
        let strings =
            |table: Option<SymbolSection<'_>>| table.map(|table| table.strings()).unwrap_or_default();
        let strings = AllStrings {
            symtab: strings(symtab),
            dynsym: strings(dynsym),
            packed: packed.unwrap_or_default(),
        };
        let mut table = TableBuilder::new(functions.len(), limits.memory / size_of::<Entry>());
        flatten(&mut functions, |at| elf.code_end(at), &mut table)?;
        drop(functions);
        Ok(Self {
            segments: elf.segments.clone().into(),
            table: table.build(),
            strings,
            go: go.flatten(),
            outline: Outline::of(source, &elf),
        })
    }

    /// Number of ranges of addresses that have a name.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.table.len()
    }

    /// Bytes that the tables hold in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let go = self.go.as_ref().map_or(0, GoTables::memory);
        size_of::<Self>()
            + size_of_val(&*self.segments)
            + self.table.memory()
            + self.strings.packed.memory()
            + go
    }

    /// The facts that the file's headers show.
    #[must_use]
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// True if functions have names that the file does not offer to other files: it has not been stripped, or has the
    /// compressed symbols that distributions leave in it.
    #[must_use]
    pub fn has_inner_names(&self) -> bool {
        self.outline.has_symtab() || !matches!(self.strings.packed, Strings::Absent)
    }

    /// The address, in the terms of the file's own symbols, of a byte of the file; `None` if no segment holds it.
    #[must_use]
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        let mut held = self.segments.iter().filter_map(|segment| {
            let into = offset.checked_sub(segment.offset).filter(|into| *into < segment.size)?;
            Some((segment.is_executable(), into.wrapping_add(segment.address)))
        });
        // Two segments may share a page of the file: the one with code counts.
        let first = held.next()?;
        let code = [first].into_iter().chain(held).find(|(executable, _)| *executable);
        Some(code.unwrap_or(first).1)
    }

    /// The function that holds an address. `source` must be the source that [`open`](Self::open) has read.
    ///
    /// # Errors
    /// The error of reading a name.
    pub fn resolve<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        address: u64,
    ) -> Result<Option<Resolved>, SymbolError> {
        let Some(Entry { start, length, name }) = self.table.find(address) else { return Ok(None) };
        let end = start.saturating_add(length.into());
        if let Some(go) = self.go.as_ref().filter(|_| name.kind() == Some(NameKind::Go)) {
            let found = go.resolve(source, name.offset(), address)?;
            return Ok(found.map(|(name, lines)| Resolved { start, end, name, lines }));
        }
        let mut best: Option<(usize, String)> = None;
        for name in self.table.names(&name) {
            let Some(name) = self.name(source, name)? else { continue };
            let length = demangle(&name, Demangle::Full).map_or(name.len(), |name| name.len());
            if best.as_ref().is_none_or(|(shortest, _)| length < *shortest) {
                best = Some((length, name));
            }
        }
        Ok(best.map(|(_, name)| Resolved { start, end, name, lines: Vec::new() }))
    }

    fn name<S: ByteSource + ?Sized>(&self, source: &S, name: NameRef) -> Result<Option<String>, SymbolError> {
        let (strings, suffix) = match name.kind() {
            Some(NameKind::Symtab) => (&self.strings.symtab, ""),
            Some(NameKind::Dynsym) => (&self.strings.dynsym, ""),
            Some(NameKind::PltSymtab) => (&self.strings.symtab, "@plt"),
            Some(NameKind::PltDynsym) => (&self.strings.dynsym, "@plt"),
            Some(NameKind::Packed) => (&self.strings.packed, ""),
            Some(NameKind::Group | NameKind::Go) | None => return Ok(None),
        };
        Ok(strings.name(source, name.offset())?.map(|name| name + suffix))
    }
}

/// Adds functions to the table, or none if that fails: symbols that cannot be read are no reason to give up the others.
fn add<T>(
    functions: &mut Vec<Candidate<NameRef>>,
    more: impl FnOnce(&mut Vec<Candidate<NameRef>>) -> Result<T, SymbolError>,
) -> Option<T> {
    let before = functions.len();
    more(functions).inspect_err(|_error| functions.truncate(before)).ok()
}
