//! A file and the functions in it.

use object::elf::{ET_DYN, ET_EXEC, SHT_DYNSYM, SHT_SYMTAB};

use crate::demangle::{Demangle, demangle};
use crate::elf::{Elf, Segment};
use crate::flatten::{Candidate, flatten};
use crate::names::{NameKind, NameRef, Strings};
use crate::symbols::SymbolSection;
use crate::table::Table;
use crate::{ByteSource, SymbolError, debug_data, plt};

/// Bounds on what is read of a file.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that the tables of a file may take in memory.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 48 << 20 }
    }
}

/// The function that an address is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The first address of the range to which the name applies.
    pub start: u64,
    /// The first address after it.
    pub end: u64,
    /// The function's name as the linker has it; of a stub that calls `f`, `f@plt`.
    pub name: String,
}

/// The symbol tables of one ELF file. Names stay in the file until they are asked for.
#[derive(Debug)]
pub struct SymbolFile {
    segments: Box<[Segment]>,
    table: Table,
    /// Of `.symtab`, `.dynsym`.
    strings: [Strings; 2],
    build_id: Option<Box<[u8]>>,
    /// The file within the file that has more symbols, and its bytes.
    more: Option<(Box<[u8]>, Box<SymbolFile>)>,
}

impl SymbolFile {
    /// Reads the symbol tables of a file.
    ///
    /// # Errors
    /// [`SymbolError::OtherFormat`] for what is no program, library or debug file, and any other for one that is
    /// damaged or larger than `limits`. A file without symbols is no error: no address of it has a name.
    pub fn open<S: ByteSource + ?Sized>(source: &S, limits: Limits) -> Result<Self, SymbolError> {
        let elf = Elf::read(source)?;
        let mut file = Self::of(source, &elf, limits)?;
        // Symbols that cannot be had are no reason to give up the others.
        if let Ok(Some(bytes)) = debug_data::unpack(source, &elf, limits.memory.saturating_sub(file.memory()))
            && let Ok(inner) = Elf::read(&*bytes)
            && let Ok(more) = Self::of(&*bytes, &inner, limits)
        {
            file.more = Some((bytes, Box::new(more)));
        }
        Ok(file)
    }

    /// The file's own symbols.
    fn of<S: ByteSource + ?Sized>(source: &S, elf: &Elf, limits: Limits) -> Result<Self, SymbolError> {
        // Addresses in objects that are not linked are relative to sections.
        if ![ET_EXEC, ET_DYN].contains(&elf.kind) {
            return Err(SymbolError::OtherFormat);
        }
        let most = limits.memory / Table::ENTRY;
        let table = |kind, section| Some(SymbolSection { elf, section: elf.section_of(section)?, kind });
        let symtab = table(NameKind::Symtab, SHT_SYMTAB);
        let dynsym = table(NameKind::Dynsym, SHT_DYNSYM);
        let mut functions: Vec<Candidate<NameRef>> = Vec::new();
        for table in [symtab, dynsym].into_iter().flatten() {
            table.functions(source, most, &mut functions)?;
        }
        plt::add_stubs(source, elf, dynsym, most, &mut functions)?;
        let strings =
            |table: Option<SymbolSection<'_>>| table.map(|table| table.strings()).unwrap_or_default();
        let strings = [strings(symtab), strings(dynsym)];
        let build_id = elf.build_id(source);
        let table = Table::new(flatten(functions, |at| elf.code_end(at)));
        Ok(Self { segments: elf.segments.clone().into(), table, strings, build_id, more: None })
    }

    /// How many ranges of addresses have a name.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.table.len() + self.more.as_ref().map_or(0, |(_, more)| more.symbols())
    }

    /// The bytes that this holds in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |(bytes, more)| bytes.len() + more.memory());
        size_of::<Self>() + size_of_val(&*self.segments) + self.table.memory() + more
    }

    /// The GNU build ID.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }

    /// The address, as the file's own symbols have it, of a byte of the file; `None` if no segment holds it.
    #[must_use]
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        let mut held = self.segments.iter().filter_map(|segment| {
            let into = offset.checked_sub(segment.offset).filter(|into| *into < segment.size)?;
            Some((segment.executable, into.wrapping_add(segment.address)))
        });
        // Two segments may share a page of the file: code is what is asked for.
        let first = held.next()?;
        let code = [first].into_iter().chain(held).find(|(executable, _)| *executable);
        Some(code.unwrap_or(first).1)
    }

    /// The function that holds an address. `source` is what [`open`](Self::open) has read.
    ///
    /// # Errors
    /// The error of reading a name.
    pub fn resolve<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        address: u64,
    ) -> Result<Option<Resolved>, SymbolError> {
        let Some(entry) = self.table.find(address) else {
            return match &self.more {
                Some((bytes, more)) => more.resolve(&**bytes, address),
                None => Ok(None),
            };
        };
        let mut best: Option<(usize, String)> = None;
        for name in self.table.names(&entry.name) {
            let Some(name) = self.name(source, name)? else { continue };
            let length = demangle(&name, Demangle::Full).map_or(name.len(), |name| name.len());
            if best.as_ref().is_none_or(|(shortest, _)| length < *shortest) {
                best = Some((length, name));
            }
        }
        let end = entry.start.saturating_add(entry.length.into());
        Ok(best.map(|(_, name)| Resolved { start: entry.start, end, name }))
    }

    fn name<S: ByteSource + ?Sized>(&self, source: &S, name: NameRef) -> Result<Option<String>, SymbolError> {
        let [symtab, dynsym] = &self.strings;
        let (strings, suffix) = match name.kind() {
            Some(NameKind::Symtab) => (symtab, ""),
            Some(NameKind::Dynsym) => (dynsym, ""),
            Some(NameKind::PltSymtab) => (symtab, "@plt"),
            Some(NameKind::PltDynsym) => (dynsym, "@plt"),
            Some(NameKind::Group) | None => return Ok(None),
        };
        Ok(strings.name(source, name.offset())?.map(|name| name + suffix))
    }
}
