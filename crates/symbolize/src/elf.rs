//! The segments, sections and notes of an ELF file, of 32 and 64 bits and either byte order.

use elffile::{Header, Notes, SectionNames, read};
use object::Endianness;
use object::elf::{ELF_NOTE_GNU, NT_GNU_BUILD_ID, PT_DYNAMIC, PT_LOAD, PT_NOTE, SHT_NOBITS, SHT_NOTE};

use crate::{ByteSource, SymbolError};

pub(crate) use elffile::{Section, Segment};

/// The most program headers and section headers that are read.
const MAX_SEGMENTS: u16 = 256;
const MAX_SECTIONS: u32 = 1 << 16;
/// The most bytes of section names that are read.
const MAX_NAMES: u64 = 4 << 20;
/// The most bytes of notes that are read.
const MAX_NOTES: u64 = 64 << 10;

/// The parts of an ELF file's headers that the rest of the crate needs.
#[derive(Debug)]
pub(crate) struct Elf {
    pub(crate) is_64: bool,
    pub(crate) endian: Endianness,
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    /// Segments that are loaded, by offset.
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<Section>,
    /// Names of the sections; empty if they cannot be read.
    names: SectionNames,
    /// Start and end of the code sections, or for want of sections the code segments, by address. No two overlap, so
    /// that one search finds an address, however many sections a file claims to have.
    code: Vec<(u64, u64)>,
    /// Offset, size and alignment of notes.
    notes: Vec<(u64, u64, u64)>,
    /// Offset and size of the dynamic linker's table.
    pub(crate) dynamic: Option<(u64, u64)>,
    /// False if the file has no section headers.
    pub(crate) has_sections: bool,
}

/// The GNU build ID of an ELF file that has all bytes which its headers promise; `None` if it has no build ID.
///
/// # Errors
/// The reason why the file is none, or not a whole one.
pub fn build_id_of_whole<S: ByteSource + ?Sized>(source: &S) -> Result<Option<Box<[u8]>>, SymbolError> {
    if !Header::read(source)?.has_whole_sections(source, MAX_SECTIONS)? {
        return Err(SymbolError::Malformed { part: "a section" });
    }
    Ok(Elf::read(source)?.build_id(source))
}

impl Elf {
    pub(crate) fn read<S: ByteSource + ?Sized>(source: &S) -> Result<Self, SymbolError> {
        let header = Header::read(source)?;
        let segments = header.segments(source, MAX_SEGMENTS)?;
        let sections = header.sections(source, MAX_SECTIONS)?;
        let names = sections.names(source, MAX_NAMES).unwrap_or_default();
        let noted = segments.iter().filter(|segment| segment.kind == PT_NOTE);
        let notes = noted.map(|segment| (segment.offset, segment.size, segment.align));
        let noted = sections.all.iter().filter(|section| section.kind == SHT_NOTE);
        let notes = notes.chain(noted.map(|section| (section.offset, section.size, section.align))).collect();
        let dynamic = segments.iter().rfind(|segment| segment.kind == PT_DYNAMIC);
        let mut elf = Self {
            is_64: header.is_64,
            endian: header.endian,
            machine: header.machine,
            kind: header.kind,
            notes,
            dynamic: dynamic.map(|segment| (segment.offset, segment.size)),
            segments,
            sections: sections.all,
            names,
            code: Vec::new(),
            has_sections: header.has_sections(),
        };
        elf.segments.retain(|segment| segment.kind == PT_LOAD);
        elf.segments.sort_by_key(|segment| segment.offset);
        elf.code = elf.code_ranges();
        Ok(elf)
    }

    fn code_ranges(&self) -> Vec<(u64, u64)> {
        let range = |address: u64, size: u64| (address, address.saturating_add(size));
        let sections = self.sections.iter().filter(|section| section.is_code());
        let mut ranges: Vec<_> = sections.map(|section| range(section.address, section.size)).collect();
        if ranges.is_empty() {
            let segments = self.segments.iter().filter(|segment| segment.is_executable());
            ranges.extend(segments.map(|segment| range(segment.address, segment.size)));
        }
        ranges.retain(|(start, end)| start < end);
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let overlap = next.0 < last.1;
            if overlap {
                last.1 = last.1.max(next.1);
            }
            overlap
        });
        ranges
    }

    /// The end of the code that holds an address; `None` if there is no code.
    pub(crate) fn code_end(&self, at: u64) -> Option<u64> {
        let after = self.code.partition_point(|(start, _)| *start <= at);
        let (_, end) = self.code.get(after.checked_sub(1)?)?;
        (at < *end).then_some(*end)
    }

    pub(crate) fn section_at(&self, index: u32) -> Option<&Section> {
        self.sections.get(usize::try_from(index).ok()?)
    }

    /// The first section of kind `kind`.
    pub(crate) fn section_of(&self, kind: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// The name of a section; empty if it has none.
    pub(crate) fn name_of(&self, section: &Section) -> &[u8] {
        self.names.of(section)
    }

    /// True if the file has debug information (DWARF) of its own.
    pub(crate) fn has_debug_info(&self) -> bool {
        let mut sections = self.sections.iter();
        sections.any(|section| {
            section.kind != SHT_NOBITS && section.size > 0 && self.name_of(section) == b".debug_info"
        })
    }

    /// The GNU build ID; `None` if there is none.
    pub(crate) fn build_id<S: ByteSource + ?Sized>(&self, source: &S) -> Option<Box<[u8]>> {
        self.notes.iter().find_map(|&(offset, size, align)| {
            let notes = read::bytes(source, offset, size.min(MAX_NOTES), "a note").ok()?;
            Notes::new(&notes, self.endian, align)
                .find(|note| {
                    (note.name, note.kind) == (ELF_NOTE_GNU, NT_GNU_BUILD_ID) && !note.bytes.is_empty()
                })
                .map(|note| note.bytes.into())
        })
    }
}
