//! The sections of a file, and their names.

use bytesource::ByteSource;
use object::Endianness;
use object::elf::{SHF_ALLOC, SHF_COMPRESSED, SHF_EXECINSTR, SHN_XINDEX, SHT_NOBITS};
use object::elf::{SectionHeader32, SectionHeader64};
use object::pod::{self, Pod};
use object::read::elf::SectionHeader;

use crate::{ElfError, Header, read};

const PART: &str = "the section header table";

/// A section, as its header describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// The position of the section's name among the names (`sh_name`).
    pub name: u32,
    /// The kind of section (`sh_type`).
    pub kind: u32,
    /// The flags of the section's contents, `SHF_ALLOC` and others (`sh_flags`).
    pub flags: u64,
    /// The section's address in memory, before relocation (`sh_addr`).
    pub address: u64,
    /// The section's position in the file, in bytes (`sh_offset`).
    pub offset: u64,
    /// Bytes of the section (`sh_size`).
    pub size: u64,
    /// The number of the section that belongs to this one, such as the strings of a symbol table (`sh_link`).
    pub link: u32,
    /// The alignment of the section (`sh_addralign`).
    pub align: u64,
}

impl Section {
    /// True if the section holds code that is loaded.
    #[must_use]
    pub fn is_code(&self) -> bool {
        let wanted = u64::from(SHF_ALLOC | SHF_EXECINSTR);
        self.flags & wanted == wanted
    }

    /// True if the file holds the section's bytes as they are.
    #[must_use]
    pub fn has_bytes(&self) -> bool {
        self.kind != SHT_NOBITS && self.flags & u64::from(SHF_COMPRESSED) == 0
    }
}

/// The sections of a file, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    /// All sections, the empty first one too.
    pub all: Vec<Section>,
    /// The number of the section that holds their names.
    names: u32,
}

impl Sections {
    /// Reads the names of the sections, at most so many bytes.
    ///
    /// # Errors
    /// [`ElfError::Malformed`] if no section of the file holds names; errors of reading.
    pub fn names<S: ByteSource + ?Sized>(&self, source: &S, most: u64) -> Result<SectionNames, ElfError> {
        let part = "section names";
        let names = usize::try_from(self.names).ok().and_then(|names| self.all.get(names));
        let names = names.ok_or(ElfError::Malformed { part })?;
        Ok(SectionNames(read::bytes(source, names.offset, names.size.min(most), part)?))
    }
}

/// The longest name that is looked at: of the sections that matter none is longer, and however long a file says that
/// its names are, looking for one costs no more.
const LONGEST_NAME: usize = 64;

/// The names of a file's sections.
#[derive(Clone, Debug, Default)]
pub struct SectionNames(Vec<u8>);

impl SectionNames {
    /// The name of a section, without the NUL at its end, cut short if it is long; empty if it has none.
    #[must_use]
    pub fn of(&self, section: &Section) -> &[u8] {
        let rest = usize::try_from(section.name).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let rest = rest.get(..LONGEST_NAME).unwrap_or(rest);
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

impl Header {
    /// The sections of the file; none if it has no section headers. Of a table that reaches beyond the end of the file,
    /// only the entries that are whole.
    ///
    /// # Errors
    /// [`ElfError`] if the table is not as it should be, or has more than `most` entries; errors of reading.
    pub fn sections<S: ByteSource + ?Sized>(&self, source: &S, most: u32) -> Result<Sections, ElfError> {
        if self.is_64 {
            self.sections_of::<SectionHeader64<Endianness>, S>(source, most)
        } else {
            self.sections_of::<SectionHeader32<Endianness>, S>(source, most)
        }
    }

    /// True if the file has sections, and all bytes of them and of their table: it has not been cut short.
    ///
    /// # Errors
    /// Errors of [`sections`](Self::sections).
    pub fn has_whole_sections<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        most: u32,
    ) -> Result<bool, ElfError> {
        let sections = self.sections(source, most)?.all;
        let Some((first, others)) = sections.split_first() else { return Ok(false) };
        // With more sections than the header has room for, the first one has their number.
        let count = if self.sections.entries == 0 { first.size } else { self.sections.entries.into() };
        let is_whole = |section: &Section| {
            let end = section.offset.checked_add(section.size);
            section.kind == SHT_NOBITS || end.is_some_and(|end| end <= source.size())
        };
        Ok(sections.len() as u64 == count && others.iter().all(is_whole))
    }

    fn sections_of<H, S>(&self, source: &S, most: u32) -> Result<Sections, ElfError>
    where
        H: SectionHeader<Endian = Endianness> + Pod,
        S: ByteSource + ?Sized,
    {
        if !self.has_sections() {
            return Ok(Sections::default());
        }
        let (table, endian, size) = (self.sections, self.endian, size_of::<H>() as u64);
        if u64::from(table.entry_size) != size {
            return Err(ElfError::Malformed { part: PART });
        }
        if table.offset.checked_add(size).is_none_or(|end| end > source.size()) {
            return Err(ElfError::Malformed { part: PART });
        }
        let (mut count, mut names) = (table.entries.into(), self.names.into());
        if table.entries == 0 || self.names == SHN_XINDEX {
            // A file with more sections than the header has room for has the number of sections in the first of them.
            let first = read::bytes(source, table.offset, size, PART)?;
            let (first, _none) =
                pod::from_bytes::<H>(&first).map_err(|()| ElfError::Malformed { part: PART })?;
            if table.entries == 0 {
                count = first.sh_size(endian).into();
            }
            if self.names == SHN_XINDEX {
                names = first.sh_link(endian);
            }
        }
        if count > u64::from(most) {
            return Err(ElfError::TooLarge { part: PART });
        }
        let mut all = Vec::new();
        let each = |header: &H| {
            all.push(Section {
                name: header.sh_name(endian),
                kind: header.sh_type(endian),
                flags: header.sh_flags(endian).into(),
                address: header.sh_addr(endian).into(),
                offset: header.sh_offset(endian).into(),
                size: header.sh_size(endian).into(),
                link: header.sh_link(endian),
                align: header.sh_addralign(endian).into(),
            });
            Ok::<_, ElfError>(())
        };
        read::entries(source, table.offset, count * size, PART, each)?;
        Ok(Sections { all, names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_name_is_looked_at_than_any_has_that_matters() {
        let names = SectionNames([&b"\0.text\0"[..], &[b'x'; 1000]].concat());
        let section =
            |name| Section { name, kind: 1, flags: 0, address: 0, offset: 0, size: 0, link: 0, align: 1 };
        assert_eq!(names.of(&section(1)), b".text");
        assert_eq!(names.of(&section(7)), [b'x'; LONGEST_NAME]);
        assert_eq!((names.of(&section(0)), names.of(&section(9999))), (&b""[..], &b""[..]));
    }
}
