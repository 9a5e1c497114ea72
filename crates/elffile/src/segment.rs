//! The segments of a file: its parts that are loaded, with their addresses.

use bytesource::ByteSource;
use object::Endianness;
use object::elf::{PF_X, ProgramHeader32, ProgramHeader64};
use object::pod::Pod;
use object::read::elf::ProgramHeader;

use crate::{ElfError, Header, read};

const PART: &str = "the program header table";

/// A segment, as its program header describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The kind of segment (`p_type`).
    pub kind: u32,
    /// The access that the segment's memory allows, `PF_X` and others (`p_flags`).
    pub flags: u32,
    /// The segment's position in the file, in bytes (`p_offset`).
    pub offset: u64,
    /// The segment's address in memory, before relocation (`p_vaddr`).
    pub address: u64,
    /// Bytes that the segment takes in the file (`p_filesz`).
    pub size: u64,
    /// The alignment of the segment, in memory and in the file (`p_align`).
    pub align: u64,
}

impl Segment {
    /// True if the segment holds code.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.flags & PF_X != 0
    }

    /// The position in the file of the byte at an address; `None` if the file has no such byte of the segment.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> Option<u64> {
        let into = address.checked_sub(self.address).filter(|into| *into < self.size)?;
        self.offset.checked_add(into)
    }
}

impl Header {
    /// The segments of the file, in the order of the file.
    ///
    /// # Errors
    /// [`ElfError`] if the table is not as it should be, or has more than `most` entries; errors of reading.
    pub fn segments<S: ByteSource + ?Sized>(&self, source: &S, most: u16) -> Result<Vec<Segment>, ElfError> {
        if self.is_64 {
            self.segments_of::<ProgramHeader64<Endianness>, S>(source, most)
        } else {
            self.segments_of::<ProgramHeader32<Endianness>, S>(source, most)
        }
    }

    fn segments_of<P, S>(&self, source: &S, most: u16) -> Result<Vec<Segment>, ElfError>
    where
        P: ProgramHeader<Endian = Endianness> + Pod,
        S: ByteSource + ?Sized,
    {
        let (table, endian, malformed) = (self.segments, self.endian, ElfError::Malformed { part: PART });
        if table.entries == 0 {
            return Ok(Vec::new());
        }
        if table.entries > most {
            return Err(ElfError::TooLarge { part: PART });
        }
        if usize::from(table.entry_size) != size_of::<P>() {
            return Err(malformed);
        }
        let size = u64::from(table.entries) * u64::from(table.entry_size);
        if table.offset.checked_add(size).is_none_or(|end| end > source.size()) {
            return Err(malformed);
        }
        let mut segments = Vec::with_capacity(table.entries.into());
        let each = |header: &P| {
            segments.push(Segment {
                kind: header.p_type(endian),
                flags: header.p_flags(endian),
                offset: header.p_offset(endian).into(),
                address: header.p_vaddr(endian).into(),
                size: header.p_filesz(endian).into(),
                align: header.p_align(endian).into(),
            });
            Ok::<_, ElfError>(())
        };
        read::entries(source, table.offset, size, PART, each)?;
        Ok(segments)
    }
}
