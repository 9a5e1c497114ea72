//! The header at the start of a file.

use bytesource::ByteSource;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{Endianness, FileKind};

use crate::{ElfError, read};

/// Bytes of the longest file header.
const LONGEST: u64 = 64;

/// The header of an ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// True if the file's addresses have 64 bits.
    pub is_64: bool,
    /// The byte order of the file's numbers.
    pub endian: Endianness,
    /// The kind of file (`e_type`).
    pub kind: u16,
    /// The machine that the file is for (`e_machine`).
    pub machine: u16,
    /// The address of the first instruction of a program (`e_entry`).
    pub entry: u64,
    pub(crate) segments: TableAt,
    pub(crate) sections: TableAt,
    /// The number of the section that holds the names of sections (`e_shstrndx`).
    pub(crate) names: u16,
}

/// The place of a table in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableAt {
    pub(crate) offset: u64,
    pub(crate) entries: u16,
    pub(crate) entry_size: u16,
}

impl Header {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`ElfError::OtherFormat`] if the file does not begin with a whole header of an ELF file; errors of reading.
    pub fn read<S: ByteSource + ?Sized>(source: &S) -> Result<Self, ElfError> {
        let head = read::bytes(source, 0, LONGEST.min(source.size()), "the ELF header")?;
        match FileKind::parse(head.as_slice()) {
            Ok(FileKind::Elf64) => Self::of::<FileHeader64<Endianness>>(&head, true),
            Ok(FileKind::Elf32) => Self::of::<FileHeader32<Endianness>>(&head, false),
            _ => Err(ElfError::OtherFormat),
        }
    }

    /// True if the file has section headers.
    #[must_use]
    pub fn has_sections(&self) -> bool {
        self.sections.offset != 0
    }

    fn of<H: FileHeader<Endian = Endianness>>(head: &[u8], is_64: bool) -> Result<Self, ElfError> {
        let header = H::parse(head).map_err(|_invalid| ElfError::OtherFormat)?;
        let endian = header.endian().map_err(|_invalid| ElfError::OtherFormat)?;
        Ok(Self {
            is_64,
            endian,
            kind: header.e_type(endian),
            machine: header.e_machine(endian),
            entry: header.e_entry(endian).into(),
            segments: TableAt {
                offset: header.e_phoff(endian).into(),
                entries: header.e_phnum(endian),
                entry_size: header.e_phentsize(endian),
            },
            sections: TableAt {
                offset: header.e_shoff(endian).into(),
                entries: header.e_shnum(endian),
                entry_size: header.e_shentsize(endian),
            },
            names: header.e_shstrndx(endian),
        })
    }
}
