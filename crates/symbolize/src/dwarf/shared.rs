//! Debug information that several files share, which `dwz` has moved to a file of its own.

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
    known: Option<(Sections, Box<[usize]>)>,
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
        let known = self.known.as_ref();
        self.link.memory() + known.map_or(0, |(sections, units)| sections.memory() + size_of_val(&**units))
    }

    /// Opens the file, if it is the one that is meant.
    pub(super) fn find(&self, parts: &mut dyn DebugParts) -> Option<Box<dyn ByteSource>> {
        let SharedLink { path, build_id } = &self.link;
        let file = parts.open(DebugPart::Shared { path, build_id })?;
        let found = Elf::read(&*file).ok()?.build_id(&*file)?;
        (found == *build_id).then_some(file)
    }

    /// The sections and units of the file, which may take `most` bytes of memory.
    pub(super) fn open<'a>(
        &'a mut self,
        file: &'a dyn ByteSource,
        effort: &'a Effort,
        most: usize,
    ) -> Result<Option<OpenShared<'a>>, SymbolError> {
        if self.known.is_none() {
            let elf = Elf::read(file)?;
            let Some(sections) = Sections::find(file, &elf, FileKind::Own, most)? else { return Ok(None) };
            let room = Room(most.saturating_sub(sections.memory()));
            let units = units(&sections.open(file, effort, FIRST_SECTION), room);
            let units = units.map_err(|error| error.reason(effort))?;
            self.known = Some((sections, units));
        }
        let Some((sections, units)) = &self.known else { return Ok(None) };
        Ok(Some(OpenShared { sections: sections.open(file, effort, FIRST_SECTION), units }))
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
