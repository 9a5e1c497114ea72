//! The functions that a symbol table names.

use elffile::read;
use object::Endianness;
use object::elf::{
    EM_AARCH64, EM_ARM, EM_RISCV, SHN_ABS, SHN_COMMON, SHN_UNDEF, SHN_XINDEX, STB_LOCAL, STB_WEAK, STT_FUNC,
    STT_GNU_IFUNC, STT_NOTYPE, Sym32, Sym64,
};
use object::read::elf::Sym;

use crate::elf::{Elf, Section};
use crate::flatten::Candidate;
use crate::names::{Initials, NameKind, NameRef, Strings};
use crate::{ByteSource, SymbolError};

/// A symbol table of a file, and its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SymbolSection<'a> {
    pub(crate) elf: &'a Elf,
    pub(crate) section: &'a Section,
    pub(crate) kind: NameKind,
}

impl SymbolSection<'_> {
    /// The place of the table's strings.
    pub(crate) fn strings(&self) -> Strings {
        match self.elf.section_at(self.section.link) {
            Some(strings) if strings.has_bytes() => {
                Strings::InFile { offset: strings.offset, size: strings.size }
            }
            _ => Strings::Absent,
        }
    }

    /// Adds the table's functions to `out`, which may then hold no more than `most`.
    pub(crate) fn functions<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        most: usize,
        out: &mut Vec<Candidate<NameRef>>,
    ) -> Result<(), SymbolError> {
        if !self.section.has_bytes() {
            return Ok(());
        }
        let initials = Initials::default();
        match self.elf.is_64 {
            true => self.each::<Sym64<Endianness>, S>(source, |symbol| {
                self.function(source, &initials, symbol, most, out)
            }),
            false => self.each::<Sym32<Endianness>, S>(source, |symbol| {
                self.function(source, &initials, symbol, most, out)
            }),
        }
    }

    /// The names of the symbols with these numbers, which are in order.
    pub(crate) fn names<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        numbers: &[u32],
    ) -> Result<Vec<Option<NameRef>>, SymbolError> {
        let (mut names, mut number, mut wanted) = (Vec::new(), 0, numbers.iter().peekable());
        let mut each = |name| {
            while wanted.next_if(|wanted| **wanted == number).is_some() {
                names.push(NameRef::new(self.kind, name).filter(|_| name != 0));
            }
            number = number.saturating_add(1);
            Ok(())
        };
        match self.elf.is_64 {
            true => self.each(source, |symbol: &Sym64<Endianness>| each(symbol.st_name(self.elf.endian)))?,
            false => self.each(source, |symbol: &Sym32<Endianness>| each(symbol.st_name(self.elf.endian)))?,
        }
        names.resize(numbers.len(), None);
        Ok(names)
    }

    fn each<T: Sym<Endian = Endianness>, S: ByteSource + ?Sized>(
        &self,
        source: &S,
        each: impl FnMut(&T) -> Result<(), SymbolError>,
    ) -> Result<(), SymbolError> {
        read::entries(source, self.section.offset, self.section.size, "a symbol table", each)
    }

    fn function<T: Sym<Endian = Endianness>, S: ByteSource + ?Sized>(
        &self,
        source: &S,
        initials: &Initials,
        symbol: &T,
        most: usize,
        out: &mut Vec<Candidate<NameRef>>,
    ) -> Result<(), SymbolError> {
        let endian = self.elf.endian;
        let kind = symbol.st_type();
        let Some(name) = NameRef::new(self.kind, symbol.st_name(endian)) else { return Ok(()) };
        if ![STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE].contains(&kind) || name.offset() == 0 {
            return Ok(());
        }
        let mut start: u64 = symbol.st_value(endian).into();
        if self.elf.machine == EM_ARM && kind == STT_FUNC {
            // The lowest bit marks a function in Thumb code.
            start &= !1;
        }
        let Some(code_end) = self.code_end(symbol.st_shndx(endian), start) else { return Ok(()) };
        if kind == STT_NOTYPE && self.is_label(source, initials, name)? {
            return Ok(());
        }
        if out.len() >= most {
            return Err(SymbolError::TooLarge { part: "a symbol table" });
        }
        let end = start.saturating_add(symbol.st_size(endian).into()).min(code_end);
        out.push(Candidate { start, end, rank: self.rank(symbol.st_bind(), kind), name });
        Ok(())
    }

    /// The end of the code that a symbol's section holds; `None` if the symbol is of no code.
    fn code_end(&self, index: u16, at: u64) -> Option<u64> {
        match index {
            SHN_UNDEF | SHN_ABS | SHN_COMMON => None,
            // There are more sections than the symbol has room for: a table of its own has their numbers. The address
            // identifies the section, too.
            SHN_XINDEX => self.elf.code_end(at),
            _ if !self.elf.has_sections => self.elf.code_end(at),
            index => {
                let section = self.elf.section_at(index.into()).filter(|section| section.is_code())?;
                at.checked_sub(section.address).filter(|into| *into < section.size)?;
                section.address.checked_add(section.size)
            }
        }
    }

    /// True for symbols that mark the kind of the bytes after them (`$x`, `$d`, `$t`), and for local labels: they are
    /// no functions.
    fn is_label<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        initials: &Initials,
        name: NameRef,
    ) -> Result<bool, SymbolError> {
        if ![EM_ARM, EM_AARCH64, EM_RISCV].contains(&self.elf.machine) {
            return Ok(false);
        }
        let Strings::InFile { offset, .. } = self.strings() else { return Ok(false) };
        let at = offset.saturating_add(name.offset().into());
        Ok(match initials.at(source, at)? {
            Some(b'$') => true,
            Some(b'.') => initials.at(source, at.saturating_add(1))? == Some(b'L'),
            _ => false,
        })
    }

    /// The rank of a symbol: global over weak over local, a function over a label, the table of all symbols over the
    /// dynamic linker's.
    fn rank(&self, binding: u8, kind: u8) -> u8 {
        let binding = match binding {
            STB_LOCAL => 1,
            STB_WEAK => 2,
            _ => 3,
        };
        let table = u8::from(self.kind != NameKind::Dynsym);
        binding << 2 | u8::from(kind != STT_NOTYPE) << 1 | table
    }
}
