//! The parts of an ELF64 file that hold its code and its unwind tables.

use elffile::{Header, SectionNames, Segment, read};
use object::Endianness;
use object::elf::{
    DT_FINI, DT_INIT, DT_NULL, EM_AARCH64, EM_X86_64, ET_DYN, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_INTERP, PT_LOAD,
};
use zerocopy::FromBytes as _;
use zerocopy::little_endian::U64;

use crate::{ByteSource, UnwindError, synthetic};

/// The most program headers and section headers that are read.
const MAX_SEGMENTS: u16 = 256;
const MAX_SECTIONS: u32 = 16_384;
/// The most bytes of section names and of the dynamic section that are read.
const MAX_NAMES: u64 = 1 << 20;
const MAX_DYNAMIC: u64 = 16 << 10;
/// The fewest bytes of a table that leads to the unwind information.
const LEAST_HEADER: u64 = 12;

/// The machine that a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

/// An executable part of a file, as it is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeSegment {
    /// The segment's address in the file's own terms (`p_vaddr`).
    pub address: u64,
    /// The segment's offset in the file.
    pub offset: u64,
    /// Bytes of the segment in the file.
    pub size: u64,
}

/// Bytes of a file that have an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Section {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// The facts of an ELF file that the rest of the crate needs.
#[derive(Debug)]
pub(crate) struct Elf {
    pub(crate) machine: Machine,
    /// Executable segments by offset.
    pub(crate) code: Vec<CodeSegment>,
    /// All loaded segments.
    pub(crate) loaded: Vec<Section>,
    pub(crate) header: Option<Section>,
    pub(crate) eh_frame: Option<Section>,
    pub(crate) debug_frame: Option<Section>,
    /// Address of the first instruction of a program.
    pub(crate) entry: u64,
    /// Functions that link editors assemble from pieces: `.init`, `.fini`.
    pub(crate) pieced: Vec<u64>,
    /// True if the file may be a dynamic linker.
    pub(crate) linker: bool,
    /// True if there is code of Go's compiler in the file.
    pub(crate) go: bool,
    /// True if the file is of musl, or has musl in it.
    pub(crate) musl: bool,
}

impl Elf {
    pub(crate) fn read<S: ByteSource + ?Sized>(source: &S) -> Result<Self, UnwindError> {
        let header = Header::read(source)?;
        let machine = match header.machine {
            EM_X86_64 => Machine::X86_64,
            EM_AARCH64 => Machine::Aarch64,
            _ => return Err(UnwindError::OtherFormat),
        };
        if !header.is_64 || header.endian != Endianness::Little {
            return Err(UnwindError::OtherFormat);
        }
        let mut elf = Self {
            machine,
            code: Vec::new(),
            loaded: Vec::new(),
            header: None,
            eh_frame: None,
            debug_frame: None,
            entry: header.entry,
            pieced: Vec::new(),
            linker: false,
            go: false,
            musl: false,
        };
        let dynamic = elf.segments(source, &header)?;
        if let Some(dynamic) = dynamic {
            elf.dynamic(source, dynamic)?;
        }
        elf.musl = machine == Machine::X86_64 && elf.begins_with_musl(source);
        // Section headers are a help, not a need: faulty ones are treated as missing.
        if let Ok(sections) = header.sections(source, MAX_SECTIONS)
            && let Ok(names) = sections.names(source, MAX_NAMES)
        {
            sections.all.iter().for_each(|section| elf.section(source, section, &names));
        }
        Ok(elf)
    }

    /// Reads the program headers; returns the dynamic section.
    fn segments<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        header: &Header,
    ) -> Result<Option<Section>, UnwindError> {
        let (mut dynamic, mut interpreter) = (None, false);
        for segment in header.segments(source, MAX_SEGMENTS)? {
            let Segment { offset, address, size, .. } = segment;
            let part = Section { address, offset, size: size.min(source.size().saturating_sub(offset)) };
            if part.address.checked_add(part.size).is_none() {
                return Err(UnwindError::Malformed { part: "the program header table" });
            }
            match segment.kind {
                PT_LOAD => {
                    self.loaded.push(part);
                    if segment.is_executable() && part.size > 0 {
                        let Section { address, offset, size } = part;
                        self.code.push(CodeSegment { address, offset, size });
                    }
                }
                PT_DYNAMIC => dynamic = Some(part),
                PT_INTERP => interpreter = true,
                PT_GNU_EH_FRAME if part.size >= LEAST_HEADER => self.header = Some(part),
                _ => {}
            }
        }
        self.code.sort_by_key(|segment| segment.offset);
        self.linker = header.kind == ET_DYN && dynamic.is_some() && !interpreter && self.entry != 0;
        Ok(dynamic)
    }

    fn begins_with_musl<S: ByteSource + ?Sized>(&self, source: &S) -> bool {
        let mut entry = [0; synthetic::MUSL_ENTRY_BYTES];
        let is_read = self
            .loaded_from(self.entry)
            .is_some_and(|section| source.read_exact_at(section.offset, &mut entry).is_ok());
        is_read && synthetic::is_musl(entry)
    }

    fn dynamic<S: ByteSource + ?Sized>(&mut self, source: &S, section: Section) -> Result<(), UnwindError> {
        let part = "the dynamic section";
        let bytes = read::bytes(source, section.offset, section.size.min(MAX_DYNAMIC) & !15, part)?;
        let entries =
            <[[U64; 2]]>::ref_from_bytes(&bytes).map_err(|_length| UnwindError::Malformed { part })?;
        for [tag, value] in entries {
            match u32::try_from(tag.get()) {
                Ok(DT_NULL) => break,
                Ok(DT_INIT | DT_FINI) => self.pieced.push(value.get()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds a section that lies in the file as a whole.
    fn section<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        section: &elffile::Section,
        names: &SectionNames,
    ) {
        let &elffile::Section { address, offset, size, .. } = section;
        if !section.has_bytes() || offset.checked_add(size).is_none_or(|end| end > source.size()) {
            return;
        }
        let bytes = Section { address, offset, size };
        match names.of(section) {
            b".eh_frame" => self.eh_frame = Some(bytes),
            b".debug_frame" => self.debug_frame = Some(bytes),
            b".gopclntab" | b".data.rel.ro.gopclntab" | b".note.go.buildid" => self.go = true,
            b".eh_frame_hdr" if self.header.is_none() && size >= LEAST_HEADER => self.header = Some(bytes),
            b".init" | b".fini" if !self.pieced.contains(&address) => self.pieced.push(address),
            _ => {}
        }
    }

    /// The loaded bytes from `address` to the end of its segment.
    pub(crate) fn loaded_from(&self, address: u64) -> Option<Section> {
        self.loaded.iter().find_map(|segment| {
            let into = address.checked_sub(segment.address).filter(|into| *into < segment.size)?;
            Some(Section { address, offset: segment.offset + into, size: segment.size - into })
        })
    }
}
