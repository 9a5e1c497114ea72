//! Where an ELF64 file keeps its code and its unwind tables.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::{ByteSource, UnwindError};

/// The most program headers and section headers that are read.
const MAX_SEGMENTS: u16 = 256;
const MAX_SECTIONS: u16 = 16_384;
/// The most bytes of section names and of the dynamic section that are read.
const MAX_NAMES: u64 = 1 << 20;
const MAX_DYNAMIC: u64 = 16 << 10;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_X: u32 = 1;
const ET_DYN: u16 = 3;
const SHT_NOBITS: u32 = 8;
const SHF_COMPRESSED: u64 = 0x800;
const DT_INIT: u64 = 12;
const DT_FINI: u64 = 13;

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
    /// Address in the file's own terms (`p_vaddr`).
    pub address: u64,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
}

/// Bytes of a file that have an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Section {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// What the rest of the crate needs of an ELF file.
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
    /// Functions that link editors put together of pieces: `.init`, `.fini`.
    pub(crate) pieced: Vec<u64>,
    /// Whether the file may be a dynamic linker.
    pub(crate) linker: bool,
}

#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 4],
    class: u8,
    data: u8,
    ident: [u8; 10],
    kind: U16,
    machine: U16,
    version: U32,
    entry: U64,
    segments_at: U64,
    sections_at: U64,
    flags: U32,
    size: U16,
    segment_size: U16,
    segments: U16,
    section_size: U16,
    sections: U16,
    names: U16,
}

#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ProgramHeader {
    kind: U32,
    flags: U32,
    offset: U64,
    address: U64,
    physical: U64,
    file_size: U64,
    memory_size: U64,
    align: U64,
}

#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct SectionHeader {
    name: U32,
    kind: U32,
    flags: U64,
    address: U64,
    offset: U64,
    size: U64,
    link: U32,
    info: U32,
    align: U64,
    entry_size: U64,
}

fn read<S: ByteSource + ?Sized>(source: &S, offset: u64, length: u64) -> Result<Vec<u8>, UnwindError> {
    if offset.checked_add(length).is_none_or(|end| end > source.size()) {
        return Err(UnwindError::Malformed { part: "an ELF header" });
    }
    let mut bytes =
        vec![0; usize::try_from(length).map_err(|_wide| UnwindError::TooLarge { part: "the file" })?];
    source.read_exact_at(offset, &mut bytes)?;
    Ok(bytes)
}

impl Elf {
    pub(crate) fn read<S: ByteSource + ?Sized>(source: &S) -> Result<Self, UnwindError> {
        let bytes = read(source, 0, size_of::<FileHeader>() as u64).map_err(|error| match error {
            UnwindError::Malformed { .. } => UnwindError::OtherFormat,
            other => other,
        })?;
        let (head, _) = FileHeader::ref_from_prefix(&bytes).map_err(|_short| UnwindError::OtherFormat)?;
        // Class 2: 64 bits; data 1: little endian.
        if head.magic != *b"\x7fELF" || head.class != 2 || head.data != 1 {
            return Err(UnwindError::OtherFormat);
        }
        let machine = match head.machine.get() {
            62 => Machine::X86_64,
            183 => Machine::Aarch64,
            _ => return Err(UnwindError::OtherFormat),
        };
        let mut elf = Self {
            machine,
            code: Vec::new(),
            loaded: Vec::new(),
            header: None,
            eh_frame: None,
            debug_frame: None,
            entry: head.entry.get(),
            pieced: Vec::new(),
            linker: false,
        };
        let dynamic = elf.segments(source, head)?;
        if let Some(dynamic) = dynamic {
            elf.dynamic(source, dynamic)?;
        }
        // Section headers are a help, not a need: what is wrong with them is as if they were not there.
        let _absent = elf.sections(source, head);
        Ok(elf)
    }

    /// Reads the program headers; returns the dynamic section.
    fn segments<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        head: &FileHeader,
    ) -> Result<Option<Section>, UnwindError> {
        let count = head.segments.get();
        if count > MAX_SEGMENTS {
            return Err(UnwindError::TooLarge { part: "the program header table" });
        }
        if count > 0 && usize::from(head.segment_size.get()) != size_of::<ProgramHeader>() {
            return Err(UnwindError::Malformed { part: "the program header table" });
        }
        let table =
            read(source, head.segments_at.get(), u64::from(count) * size_of::<ProgramHeader>() as u64)?;
        let headers = <[ProgramHeader]>::ref_from_bytes(&table)
            .map_err(|_length| UnwindError::Malformed { part: "the program header table" })?;
        let (mut dynamic, mut interpreter) = (None, false);
        for header in headers {
            let part = Section {
                address: header.address.get(),
                offset: header.offset.get(),
                size: header.file_size.get().min(source.size().saturating_sub(header.offset.get())),
            };
            if part.address.checked_add(part.size).is_none() {
                return Err(UnwindError::Malformed { part: "the program header table" });
            }
            match header.kind.get() {
                PT_LOAD => {
                    self.loaded.push(part);
                    if header.flags.get() & PF_X != 0 && part.size > 0 {
                        let Section { address, offset, size } = part;
                        self.code.push(CodeSegment { address, offset, size });
                    }
                }
                PT_DYNAMIC => dynamic = Some(part),
                PT_INTERP => interpreter = true,
                PT_GNU_EH_FRAME if part.size >= 12 => self.header = Some(part),
                _ => {}
            }
        }
        self.code.sort_by_key(|segment| segment.offset);
        self.linker = head.kind.get() == ET_DYN && dynamic.is_some() && !interpreter && self.entry != 0;
        Ok(dynamic)
    }

    fn dynamic<S: ByteSource + ?Sized>(&mut self, source: &S, section: Section) -> Result<(), UnwindError> {
        let bytes = read(source, section.offset, section.size.min(MAX_DYNAMIC) & !15)?;
        let entries = <[[U64; 2]]>::ref_from_bytes(&bytes)
            .map_err(|_length| UnwindError::Malformed { part: "the dynamic section" })?;
        for [tag, value] in entries {
            match tag.get() {
                0 => break,
                DT_INIT | DT_FINI => self.pieced.push(value.get()),
                _ => {}
            }
        }
        Ok(())
    }

    fn sections<S: ByteSource + ?Sized>(&mut self, source: &S, head: &FileHeader) -> Result<(), UnwindError> {
        let malformed = UnwindError::Malformed { part: "the section header table" };
        let count = head.sections.get();
        if count == 0
            || count > MAX_SECTIONS
            || usize::from(head.section_size.get()) != size_of::<SectionHeader>()
        {
            return Err(malformed);
        }
        let table =
            read(source, head.sections_at.get(), u64::from(count) * size_of::<SectionHeader>() as u64)?;
        let headers = <[SectionHeader]>::ref_from_bytes(&table)
            .map_err(|_length| UnwindError::Malformed { part: "the section header table" })?;
        let names = headers.get(usize::from(head.names.get())).ok_or(malformed)?;
        let names = read(source, names.offset.get(), names.size.get().min(MAX_NAMES))?;
        for header in headers {
            let section = Section {
                address: header.address.get(),
                offset: header.offset.get(),
                size: header.size.get(),
            };
            let absent = header.kind.get() == SHT_NOBITS || header.flags.get() & SHF_COMPRESSED != 0;
            if absent || section.offset.checked_add(section.size).is_none_or(|end| end > source.size()) {
                continue;
            }
            let name = usize::try_from(header.name.get()).ok().and_then(|at| names.get(at..)).unwrap_or(&[]);
            match name.split(|byte| *byte == 0).next() {
                Some(b".eh_frame") => self.eh_frame = Some(section),
                Some(b".debug_frame") => self.debug_frame = Some(section),
                Some(b".eh_frame_hdr") if self.header.is_none() && section.size >= 12 => {
                    self.header = Some(section)
                }
                Some(b".init" | b".fini") if !self.pieced.contains(&section.address) => {
                    self.pieced.push(section.address);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The loaded bytes from `address` to the end of its segment.
    pub(crate) fn loaded_from(&self, address: u64) -> Option<Section> {
        self.loaded.iter().find_map(|segment| {
            let into = address.checked_sub(segment.address).filter(|into| *into < segment.size)?;
            Some(Section { address, offset: segment.offset + into, size: segment.size - into })
        })
    }
}
