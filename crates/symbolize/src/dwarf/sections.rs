//! The sections that hold debug information.

use std::io::Read as _;

use elffile::read;
use gimli::{Dwarf, RunTimeEndian, SectionId};
use object::Endianness;
use object::elf::{
    CompressionHeader32, CompressionHeader64, ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, SHF_COMPRESSED, SHT_NOBITS,
};
use object::pod;
use object::read::elf::CompressionHeader as _;

use super::window::{Bytes, Effort, PART, SectionBytes, Window};
use crate::elf::{Elf, Section};
use crate::{ByteSource, SymbolError};

/// Ids of the sections that are read.
const ALL: [SectionId; 16] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugCuIndex,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugLoc,
    SectionId::DebugLocLists,
    SectionId::DebugMacinfo,
    SectionId::DebugMacro,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTuIndex,
    SectionId::DebugTypes,
];
/// Ids of the sections whose bytes are not read, but of which a package of split units lists parts.
const LISTED: [SectionId; 5] = [
    SectionId::DebugLoc,
    SectionId::DebugLocLists,
    SectionId::DebugMacinfo,
    SectionId::DebugMacro,
    SectionId::DebugTypes,
];

/// The kind of a file, which decides the names of its sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A program, a library or a debug file.
    Own,
    /// A file in which a compiler has left what needs no linking (split DWARF).
    Split,
    /// A file that has many of those. It is opened for each unit, and its sections are not unpacked as often.
    Package,
}

impl FileKind {
    fn name_of(self, section: SectionId) -> Option<&'static str> {
        match self {
            Self::Own => Some(section.name()).filter(|_| !LISTED.contains(&section)),
            Self::Split | Self::Package => section.dwo_name(),
        }
    }
}

/// The places of the sections of a file.
#[derive(Debug)]
pub(super) struct Sections {
    endian: RunTimeEndian,
    places: Vec<Place>,
}

/// The place of a section's bytes.
#[derive(Debug)]
enum Place {
    Absent,
    InFile {
        offset: u64,
        size: usize,
    },
    /// The bytes in memory: they were compressed in the file.
    AtHand(Box<[u8]>),
}

impl Sections {
    /// Finds the sections; `None` if the file has no debug information, or is a package with compressed sections. Else
    /// compressed ones are unpacked, at the cost of `effort` if there is one, and may take `most` bytes then.
    pub(super) fn find(
        source: &dyn ByteSource,
        elf: &Elf,
        kind: FileKind,
        (most, effort): (usize, Option<&Effort>),
    ) -> Result<Option<Self>, SymbolError> {
        let endian = match elf.endian {
            Endianness::Little => RunTimeEndian::Little,
            Endianness::Big => RunTimeEndian::Big,
        };
        let find = |id: &SectionId| {
            let name = kind.name_of(*id).map(str::as_bytes);
            elf.sections.iter().find(|section| {
                section.kind != SHT_NOBITS && section.size > 0 && Some(elf.name_of(section)) == name
            })
        };
        if kind == FileKind::Package && ALL.iter().filter_map(find).any(is_compressed) {
            return Ok(None);
        }
        let mut left = most;
        let places = ALL.iter().map(|id| {
            find(id).map_or(Ok(Place::Absent), |section| place((source, elf), section, &mut left, effort))
        });
        let places: Vec<_> = places.collect::<Result<_, _>>()?;
        let has = |wanted| {
            let mut both = ALL.iter().zip(&places);
            both.any(|(id, place)| *id == wanted && !matches!(place, Place::Absent))
        };
        Ok((has(SectionId::DebugInfo) && has(SectionId::DebugAbbrev)).then_some(Self { endian, places }))
    }

    /// Bytes that the sections hold in memory.
    pub(super) fn memory(&self) -> usize {
        let at_hand = |place: &Place| match place {
            Place::AtHand(bytes) => bytes.len(),
            Place::Absent | Place::InFile { .. } => 0,
        };
        self.places.iter().map(|place| size_of::<Place>() + at_hand(place)).sum()
    }

    /// The sections, to be read at the cost of `effort`, and numbered from `first` on. The last section is empty.
    pub(super) fn open<'a>(
        &'a self,
        source: &'a dyn ByteSource,
        effort: &'a Effort,
        first: u8,
    ) -> Vec<SectionBytes<'a>> {
        let of = |(number, place): (u8, &'a Place)| {
            let (size, bytes) = match place {
                Place::Absent => (0, Bytes::Held(&[])),
                Place::AtHand(bytes) => (bytes.len(), Bytes::Held(bytes)),
                &Place::InFile { offset, size } => {
                    (size, Bytes::InFile { source, offset, pages: Box::default() })
                }
            };
            SectionBytes { number, endian: self.endian, size, bytes, effort }
        };
        (first..).zip(self.places.iter().chain([&Place::Absent])).map(of).collect()
    }
}

/// Open sections as gimli takes them.
pub(super) fn dwarf<'a>(sections: &'a [SectionBytes<'a>]) -> Option<Dwarf<Window<'a>>> {
    let none = Window::of(sections.last()?);
    let section = |id| Ok::<_, std::convert::Infallible>(section_of(sections, id).unwrap_or(none));
    Dwarf::load(section).ok()
}

/// One of the open sections; `None` for a section that is never read.
pub(super) fn section_of<'a>(sections: &'a [SectionBytes<'a>], id: SectionId) -> Option<Window<'a>> {
    let index = ALL.iter().position(|each| *each == id)?;
    sections.get(index).map(Window::of)
}

fn is_compressed(section: &Section) -> bool {
    section.flags & u64::from(SHF_COMPRESSED) != 0
}

fn place(
    (source, elf): (&dyn ByteSource, &Elf),
    section: &Section,
    left: &mut usize,
    effort: Option<&Effort>,
) -> Result<Place, SymbolError> {
    if is_compressed(section) {
        let unpacked = unpack((source, elf), section, *left, effort)?;
        *left -= unpacked.len();
        return Ok(Place::AtHand(unpacked.into()));
    }
    // The rest of a section that reaches beyond the end of the file is not there.
    let size = section.size.min(source.size().saturating_sub(section.offset));
    let size = usize::try_from(size).map_err(|_wide| SymbolError::TooLarge { part: PART })?;
    Ok(Place::InFile { offset: section.offset, size })
}

/// The bytes of a compressed section, at most `most`.
fn unpack(
    (source, elf): (&dyn ByteSource, &Elf),
    section: &Section,
    most: usize,
    effort: Option<&Effort>,
) -> Result<Vec<u8>, SymbolError> {
    if section.size > most as u64 {
        return Err(SymbolError::TooLarge { part: PART });
    }
    let packed = read::bytes(source, section.offset, section.size, PART)?;
    let (kind, size, packed) = header(&packed, elf).ok_or(SymbolError::Malformed { part: PART })?;
    let is_affordable = effort.is_none_or(|effort| effort.spend(size.max(section.size)).is_ok());
    if size > most as u64 || !is_affordable {
        return Err(SymbolError::TooLarge { part: PART });
    }
    let mut out = Vec::new();
    let unpacked = match kind {
        ELFCOMPRESS_ZLIB => flate2::read::ZlibDecoder::new(packed).take(size).read_to_end(&mut out),
        ELFCOMPRESS_ZSTD => zstd::stream::read::Decoder::with_buffer(packed)
            .and_then(|decoder| decoder.take(size).read_to_end(&mut out)),
        _ => return Err(SymbolError::Malformed { part: PART }),
    };
    unpacked.map_err(|_damaged| SymbolError::Malformed { part: PART })?;
    Ok(out)
}

/// The method by which a section is compressed, its size when it is unpacked, and the rest of its bytes.
fn header<'a>(packed: &'a [u8], elf: &Elf) -> Option<(u32, u64, &'a [u8])> {
    if elf.is_64 {
        let (header, rest) = pod::from_bytes::<CompressionHeader64<Endianness>>(packed).ok()?;
        Some((header.ch_type(elf.endian), header.ch_size(elf.endian), rest))
    } else {
        let (header, rest) = pod::from_bytes::<CompressionHeader32<Endianness>>(packed).ok()?;
        Some((header.ch_type(elf.endian), header.ch_size(elf.endian).into(), rest))
    }
}
