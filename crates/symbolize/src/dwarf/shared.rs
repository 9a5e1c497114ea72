//! Debug information that several files share, which `dwz` has moved to a file of its own.

use std::io;

use elffile::read;

use super::parts::{DebugPart, DebugParts};
use super::room::{Room, TableError};
use super::sections::{FileKind, Sections, dwarf};
use super::supplementary::Supplementary;
use super::window::{Effort, PART, SectionBytes};
use crate::elf::Elf;
use crate::{ByteSource, SymbolError};

const NAME: &[u8] = b".gnu_debugaltlink";
/// The most bytes of the section: a path and a build ID.
const MAX_SIZE: u64 = 4 << 10;
/// The number of the first section of the shared file.
const FIRST_SECTION: u8 = 32;

/// The file that a file shares debug information with others in.
#[derive(Debug)]
pub(super) struct SharedLink {
    path: Box<str>,
    number: SharedNumber,
}

/// The number that decides which file is the shared one.
#[derive(Debug, PartialEq, Eq)]
enum SharedNumber {
    /// A GNU build ID, in `.gnu_debugaltlink`.
    BuildId(Box<[u8]>),
    /// A checksum that both files have in `.debug_sup`.
    Checksum(Box<[u8]>),
}

impl SharedLink {
    /// The link that a file has to the shared file; `None` if it has none.
    pub(super) fn of(source: &dyn ByteSource, elf: &Elf) -> Option<Self> {
        let link = Self::of_gnu(source, elf).or_else(|| {
            let own = Supplementary::of(source, elf).filter(|own| !own.is_supplementary)?;
            Some(Self { path: own.path, number: SharedNumber::Checksum(own.checksum) })
        });
        link.filter(|link| !link.path.is_empty())
    }

    /// The link in the form that GNU tools had before DWARF 5.
    fn of_gnu(source: &dyn ByteSource, elf: &Elf) -> Option<Self> {
        let mut sections = elf.sections.iter();
        let section = sections.find(|section| elf.name_of(section) == NAME && section.has_bytes())?;
        let bytes = read::bytes(source, section.offset, section.size.min(MAX_SIZE), PART).ok()?;
        let (path, build_id) = bytes.split_at(memchr::memchr(0, &bytes)?);
        let build_id = build_id.get(1..).filter(|id| !id.is_empty())?;
        let path = std::str::from_utf8(path).ok()?;
        Some(Self { path: path.into(), number: SharedNumber::BuildId(build_id.into()) })
    }

    /// True if a file is the shared one.
    fn is_to(&self, file: &dyn ByteSource, elf: &Elf) -> bool {
        let number = match &self.number {
            SharedNumber::BuildId(_) => elf.build_id(file).map(SharedNumber::BuildId),
            SharedNumber::Checksum(_) => {
                let own = Supplementary::of(file, elf).filter(|own| own.is_supplementary);
                own.map(|own| SharedNumber::Checksum(own.checksum))
            }
        };
        number.as_ref() == Some(&self.number)
    }

    fn build_id(&self) -> Option<&[u8]> {
        match &self.number {
            SharedNumber::BuildId(build_id) => Some(build_id),
            SharedNumber::Checksum(_) => None,
        }
    }

    fn memory(&self) -> usize {
        let (SharedNumber::BuildId(number) | SharedNumber::Checksum(number)) = &self.number;
        size_of::<Self>() + self.path.len() + number.len()
    }
}

/// The facts that are known of the shared file: the places of its sections, and its units. The file is opened for each
/// unit that is read of the file that shares it, and for nothing else.
#[derive(Debug)]
pub(super) struct Shared {
    link: SharedLink,
    /// `None` until it has been opened.
    known: Option<Known>,
}

/// The outcome of reading a shared file for the first time.
#[derive(Debug)]
enum Known {
    Usable(Sections, Box<[usize]>),
    /// The file is damaged or too large: it is not opened again.
    Useless,
}

/// The shared file, open.
pub(super) struct OpenShared<'a> {
    pub(super) sections: Vec<SectionBytes<'a>>,
    /// The offsets in its `.debug_info` at which units begin, in order.
    pub(super) units: &'a [usize],
}

impl Shared {
    pub(super) fn new(link: SharedLink) -> Self {
        Self { link, known: None }
    }

    pub(super) fn memory(&self) -> usize {
        let known = match &self.known {
            Some(Known::Usable(sections, units)) => sections.memory() + size_of_val(&**units),
            Some(Known::Useless) | None => 0,
        };
        self.link.memory() + known
    }

    /// Opens the file, if it is the one that is meant.
    ///
    /// # Errors
    /// The reason why it cannot be had now.
    pub(super) fn find(&self, parts: &mut dyn DebugParts) -> io::Result<Option<Box<dyn ByteSource>>> {
        if matches!(self.known, Some(Known::Useless)) {
            return Ok(None);
        }
        let part = DebugPart::Shared { path: &self.link.path, build_id: self.link.build_id() };
        let Some(file) = parts.open(part)? else { return Ok(None) };
        let is_it = match Elf::read(&*file) {
            Ok(elf) => self.link.is_to(&*file, &elf),
            Err(SymbolError::Read(error)) => return Err(error),
            Err(_other) => false,
        };
        Ok(is_it.then_some(file))
    }

    /// Reads which sections and units the file has, unless that is known; they may take `most` bytes of memory.
    ///
    /// # Errors
    /// The error of reading the file. Whatever else is wrong with it is remembered.
    pub(super) fn read(
        &mut self,
        file: &dyn ByteSource,
        effort: &Effort,
        most: usize,
    ) -> Result<(), SymbolError> {
        if self.known.is_none() {
            self.known = Some(match Known::read(file, effort, most) {
                Ok(known) => known,
                Err(error @ SymbolError::Read(_)) => return Err(error),
                Err(_lasting) => Known::Useless,
            });
        }
        Ok(())
    }

    /// The sections and units of the file; `None` if they are not known.
    pub(super) fn open<'a>(&'a self, file: &'a dyn ByteSource, effort: &'a Effort) -> Option<OpenShared<'a>> {
        let Some(Known::Usable(sections, units)) = &self.known else { return None };
        Some(OpenShared { sections: sections.open(file, effort, FIRST_SECTION), units })
    }
}

impl Known {
    fn read(file: &dyn ByteSource, effort: &Effort, most: usize) -> Result<Self, SymbolError> {
        let elf = Elf::read(file)?;
        let sections = Sections::find(file, &elf, FileKind::Own, (most, Some(effort)))?;
        let Some(sections) = sections else { return Ok(Self::Useless) };
        let room = Room(most.saturating_sub(sections.memory()));
        let units = units(&sections.open(file, effort, FIRST_SECTION), room);
        let units = units.map_err(|error| error.reason(effort))?;
        Ok(Self::Usable(sections, units))
    }
}

/// The offsets at which units begin, in order.
pub(super) fn units(sections: &[SectionBytes<'_>], mut room: Room) -> Result<Box<[usize]>, TableError> {
    let Some(dwarf) = dwarf(sections) else { return Ok(Box::default()) };
    let (mut headers, mut units) = (dwarf.units(), Vec::new());
    while let Some(header) = headers.next()? {
        room.take(size_of::<usize>())?;
        units.push(header.offset().0);
    }
    Ok(units.into())
}
