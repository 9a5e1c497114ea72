//! Debug information that several files share, which `dwz` has moved to a file of its own.

use std::io;

use elffile::read;

use super::parts::{DebugPart, DebugParts};
use super::room::{Room, TableError};
use super::sections::{FileKind, Sections, dwarf};
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
    build_id: Box<[u8]>,
}

impl SharedLink {
    /// The link that a file has to the shared file; `None` if it has none.
    pub(super) fn of(source: &dyn ByteSource, elf: &Elf) -> Option<Self> {
        let mut sections = elf.sections.iter();
        let section = sections.find(|section| elf.name_of(section) == NAME && section.has_bytes())?;
        let bytes = read::bytes(source, section.offset, section.size.min(MAX_SIZE), PART).ok()?;
        let (path, build_id) = bytes.split_at(memchr::memchr(0, &bytes)?);
        let build_id = build_id.get(1..).filter(|id| !id.is_empty())?;
        let path = std::str::from_utf8(path).ok().filter(|path| !path.is_empty())?;
        Some(Self { path: path.into(), build_id: build_id.into() })
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.build_id.len()
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
        let SharedLink { path, build_id } = &self.link;
        let Some(file) = parts.open(DebugPart::Shared { path, build_id })? else { return Ok(None) };
        let found = match Elf::read(&*file) {
            Ok(elf) => elf.build_id(&*file),
            Err(SymbolError::Read(error)) => return Err(error),
            Err(_other) => None,
        };
        Ok(found.is_some_and(|found| found == *build_id).then_some(file))
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
