//! Facts of an ELF file that its headers show: enough to know which other file may have its symbols.

use object::elf::SHT_SYMTAB;

use crate::debug_link::DebugLink;
use crate::elf::Elf;
use crate::{ByteSource, SymbolError};

/// Facts of an ELF file that are read without its symbols, in some microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    build_id: Option<Box<[u8]>>,
    debug_link: Option<DebugLink>,
    has_symtab: bool,
    has_debug_info: bool,
}

impl Outline {
    /// Reads the headers, the notes and the debug link of a file.
    ///
    /// # Errors
    /// The error of a file that has another format, is damaged, or cannot be read.
    pub fn read<S: ByteSource + ?Sized>(source: &S) -> Result<Self, SymbolError> {
        Ok(Self::of(source, &Elf::read(source)?))
    }

    pub(crate) fn of<S: ByteSource + ?Sized>(source: &S, elf: &Elf) -> Self {
        Self {
            build_id: elf.build_id(source),
            debug_link: DebugLink::of(source, elf),
            has_symtab: elf.section_of(SHT_SYMTAB).is_some_and(|table| table.has_bytes()),
            has_debug_info: elf.has_debug_info(),
        }
    }

    /// The GNU build ID.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }

    /// The file that the file's debug information was moved to, if the file has a link to one.
    #[must_use]
    pub fn debug_link(&self) -> Option<&DebugLink> {
        self.debug_link.as_ref()
    }

    /// False if the file has been stripped of its own symbols: another file may have them.
    #[must_use]
    pub fn has_symtab(&self) -> bool {
        self.has_symtab
    }

    /// True if [`LineTables`](crate::LineTables) may find lines and inlined functions in the file.
    #[must_use]
    pub fn has_debug_info(&self) -> bool {
        self.has_debug_info
    }
}
