//! Where an ELF file keeps its code and its symbols: 32 and 64 bits, either byte order.

use object::elf::{
    FileHeader32, FileHeader64, PF_X, PT_DYNAMIC, PT_LOAD, PT_NOTE, SHF_ALLOC, SHF_COMPRESSED, SHF_EXECINSTR,
    SHT_NOBITS, SHT_NOTE,
};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, FileKind, pod};

use crate::{ByteSource, SymbolError, read};

/// The most program headers and section headers that are read.
const MAX_SEGMENTS: u64 = 256;
const MAX_SECTIONS: u64 = 1 << 16;
/// The most bytes of section names that are read.
const MAX_NAMES: u64 = 4 << 20;
/// The most bytes of one section's name that are kept: of longer ones, nothing is looked for.
const LONGEST_NAME: usize = 64;
/// The most bytes of notes that are read.
const MAX_NOTES: u64 = 64 << 10;
/// Bytes of the longest file header.
const HEADER: u64 = 64;

/// A loaded part of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) address: u64,
    pub(crate) executable: bool,
}

impl Segment {
    /// Where in the file the byte at an address is; `None` if it is not of the segment.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        let into = address.checked_sub(self.address).filter(|into| *into < self.size)?;
        self.offset.checked_add(into)
    }
}

/// A section.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: Box<[u8]>,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// Index of the section that belongs to it: the strings of a symbol table.
    pub(crate) link: u32,
}

impl Section {
    /// True if the section holds code.
    pub(crate) fn is_code(&self) -> bool {
        let wanted = u64::from(SHF_ALLOC | SHF_EXECINSTR);
        self.flags & wanted == wanted
    }

    /// True if the file holds the section's bytes as they are.
    pub(crate) fn has_bytes(&self) -> bool {
        self.kind != SHT_NOBITS && self.flags & u64::from(SHF_COMPRESSED) == 0
    }
}

/// What the rest of the crate needs of an ELF file.
#[derive(Debug)]
pub(crate) struct Elf {
    pub(crate) is_64: bool,
    pub(crate) endian: Endianness,
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<Section>,
    /// Start and end of the code sections, or for want of sections the code segments, by address. None overlap, so that
    /// one search finds an address, however many sections a file claims to have.
    code: Vec<(u64, u64)>,
    notes: Vec<(u64, u64)>,
    /// Where the dynamic linker's table is, and its size.
    pub(crate) dynamic: Option<(u64, u64)>,
    /// False if the file has no section headers.
    pub(crate) has_sections: bool,
}

impl Elf {
    pub(crate) fn read<S: ByteSource + ?Sized>(source: &S) -> Result<Self, SymbolError> {
        let head = read::bytes(source, 0, HEADER.min(source.size()), "the ELF header")?;
        match FileKind::parse(head.as_slice()) {
            Ok(FileKind::Elf64) => Self::of::<FileHeader64<Endianness>, S>(source, &head, true),
            Ok(FileKind::Elf32) => Self::of::<FileHeader32<Endianness>, S>(source, &head, false),
            _ => Err(SymbolError::OtherFormat),
        }
    }

    fn of<H: FileHeader<Endian = Endianness>, S: ByteSource + ?Sized>(
        source: &S,
        head: &[u8],
        is_64: bool,
    ) -> Result<Self, SymbolError> {
        let header = H::parse(head).map_err(|_invalid| SymbolError::OtherFormat)?;
        let endian = header.endian().map_err(|_invalid| SymbolError::OtherFormat)?;
        let mut elf = Self {
            is_64,
            endian,
            machine: header.e_machine(endian),
            kind: header.e_type(endian),
            segments: Vec::new(),
            sections: Vec::new(),
            code: Vec::new(),
            notes: Vec::new(),
            dynamic: None,
            has_sections: header.e_shoff(endian).into() != 0,
        };
        elf.read_segments(source, header)?;
        elf.read_sections(source, header)?;
        elf.segments.sort_by_key(|segment| segment.offset);
        elf.code = elf.code_ranges();
        Ok(elf)
    }

    fn code_ranges(&self) -> Vec<(u64, u64)> {
        let range = |address: u64, size: u64| (address, address.saturating_add(size));
        let sections = self.sections.iter().filter(|section| section.is_code());
        let mut ranges: Vec<_> = sections.map(|section| range(section.address, section.size)).collect();
        if ranges.is_empty() {
            let segments = self.segments.iter().filter(|segment| segment.executable);
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

    fn read_segments<H: FileHeader<Endian = Endianness>, S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        header: &H,
    ) -> Result<(), SymbolError> {
        let (part, endian) = ("the program header table", self.endian);
        let (count, size) = (u64::from(header.e_phnum(endian)), size_of::<H::ProgramHeader>());
        if count == 0 {
            return Ok(());
        }
        if count > MAX_SEGMENTS || usize::from(header.e_phentsize(endian)) != size {
            return Err(SymbolError::Malformed { part });
        }
        let each = |segment: &H::ProgramHeader| {
            let (offset, size) = (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
            match segment.p_type(endian) {
                PT_LOAD => self.segments.push(Segment {
                    offset,
                    size,
                    address: segment.p_vaddr(endian).into(),
                    executable: segment.p_flags(endian) & PF_X != 0,
                }),
                PT_NOTE => self.notes.push((offset, size)),
                PT_DYNAMIC => self.dynamic = Some((offset, size)),
                _ => {}
            }
            Ok(())
        };
        read::entries(source, header.e_phoff(endian).into(), count * size as u64, part, each)
    }

    fn read_sections<H: FileHeader<Endian = Endianness>, S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        header: &H,
    ) -> Result<(), SymbolError> {
        let (part, endian) = ("the section header table", self.endian);
        let (at, size) = (header.e_shoff(endian).into(), size_of::<H::SectionHeader>() as u64);
        if at == 0 {
            return Ok(());
        }
        if u64::from(header.e_shentsize(endian)) != size {
            return Err(SymbolError::Malformed { part });
        }
        let first = read::bytes(source, at, size, part)?;
        let (first, _none) =
            pod::from_bytes::<H::SectionHeader>(&first).map_err(|()| SymbolError::Malformed { part })?;
        // A file with more sections than the header has room for has their number in the first of them.
        let count = match header.e_shnum(endian) {
            0 => first.sh_size(endian).into(),
            count => count.into(),
        };
        let names = match header.e_shstrndx(endian) {
            object::elf::SHN_XINDEX => first.sh_link(endian),
            index => index.into(),
        };
        if count > MAX_SECTIONS {
            return Err(SymbolError::TooLarge { part });
        }
        let mut name_offsets = Vec::new();
        let each = |section: &H::SectionHeader| {
            name_offsets.push(section.sh_name(endian));
            let (offset, size) = (section.sh_offset(endian).into(), section.sh_size(endian).into());
            let kind = section.sh_type(endian);
            if kind == SHT_NOTE {
                self.notes.push((offset, size));
            }
            self.sections.push(Section {
                name: Box::default(),
                kind,
                flags: section.sh_flags(endian).into(),
                address: section.sh_addr(endian).into(),
                offset,
                size,
                link: section.sh_link(endian),
            });
            Ok(())
        };
        read::entries(source, at, count * size, part, each)?;
        self.name_sections(source, names, &name_offsets);
        Ok(())
    }

    /// Sets the sections' names. Those that cannot be read stay empty.
    fn name_sections<S: ByteSource + ?Sized>(&mut self, source: &S, names: u32, offsets: &[u32]) {
        let Some((at, size)) = self.section_at(names).map(|names| (names.offset, names.size)) else { return };
        let Ok(names) = read::bytes(source, at, size.min(MAX_NAMES), "section names") else { return };
        for (section, offset) in self.sections.iter_mut().zip(offsets) {
            let name = usize::try_from(*offset).ok().and_then(|at| names.get(at..)).unwrap_or_default();
            let name = name.get(..LONGEST_NAME).unwrap_or(name);
            section.name = name.split(|byte| *byte == 0).next().unwrap_or_default().into();
        }
    }

    pub(crate) fn section_at(&self, index: u32) -> Option<&Section> {
        self.sections.get(usize::try_from(index).ok()?)
    }

    /// The first section of that kind.
    pub(crate) fn section_of(&self, kind: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// The GNU build ID; `None` if there is none.
    pub(crate) fn build_id<S: ByteSource + ?Sized>(&self, source: &S) -> Option<Box<[u8]>> {
        self.notes.iter().find_map(|&(offset, size)| {
            let notes = read::bytes(source, offset, size.min(MAX_NOTES), "a note").ok()?;
            self.build_id_in(&notes)
        })
    }

    fn build_id_in(&self, mut notes: &[u8]) -> Option<Box<[u8]>> {
        use object::endian::Endian as _;
        const GNU: &[u8] = b"GNU\0";
        loop {
            let (words, rest) = notes.split_first_chunk::<12>()?;
            let word = |at: usize| {
                let bytes = words.get(at..at + 4).and_then(|bytes| bytes.try_into().ok())?;
                usize::try_from(self.endian.read_u32_bytes(bytes)).ok()
            };
            let (name_size, size, kind) = (word(0)?, word(4)?, word(8)?);
            let (name, rest) = rest.split_at_checked(name_size)?;
            let rest = rest.get(name_size.next_multiple_of(4) - name_size..)?;
            let (bytes, rest) = rest.split_at_checked(size)?;
            if name == GNU && kind == 3 && !bytes.is_empty() {
                return Some(bytes.into());
            }
            notes = rest.get(size.checked_next_multiple_of(4)? - size..)?;
        }
    }
}
