//! Functions of units whose debug information the compiler has left in a file of its own, or a packer has put together
//! in one beside the program: split DWARF. Lines and addresses stay in the program itself.

use gimli::{Dwarf, DwarfPackage, DwoId, Reader as _, UnitHeader};

use super::functions::{Functions, UnitStarts};
use super::parts::{DebugPart, DebugParts};
use super::room::{Room, TableError};
use super::sections::{FileKind, Sections, dwarf, section_of};
use super::unit::{SplitUnit, UnitRoot};
use super::window::{Effort, SectionBytes, Window};
use crate::elf::Elf;
use crate::{ByteSource, SymbolError};

/// The number of the first section of the other file.
const FIRST_SECTION: u8 = 64;
/// Units of such a file that are looked at: there is one, or what several have been linked to as a whole.
const MOST_UNITS: usize = 4096;

/// The functions of a unit, from the package if there is one, or from the unit's own file; that is read, too, if the
/// package is damaged. Whether there is a package is asked until it is known that there is none.
///
/// # Errors
/// [`TableError`]; its reason is [`SymbolError::Read`] if the file cannot be had now.
pub(super) fn functions(
    wanted: &SplitUnit,
    (main, skeleton): (&Dwarf<Window<'_>>, &UnitRoot<'_>),
    effort: &Effort,
    room: &mut Room,
    (parts, lacks_package): (&mut dyn DebugParts, &mut bool),
) -> Result<Functions, TableError> {
    if !*lacks_package {
        match parts.open(DebugPart::Package).map_err(SymbolError::Read)? {
            None => *lacks_package = true,
            Some(file) => {
                let file = (&*file, FileKind::Package);
                let found = functions_in(file, wanted.id, (main, skeleton), effort, room);
                match found.map_err(|error| error.reason(effort)) {
                    Ok(Some(functions)) => return Ok(functions),
                    Err(error @ SymbolError::Read(_)) => return Err(error.into()),
                    Ok(None) | Err(_) => {}
                }
            }
        }
    }
    let SplitUnit { id, directory, path } = wanted;
    let file = parts.open(DebugPart::Unit { directory, path }).map_err(SymbolError::Read)?;
    let Some(file) = file else { return Ok(Functions::default()) };
    let found = functions_in((&*file, FileKind::Split), *id, (main, skeleton), effort, room)?;
    Ok(found.unwrap_or_default())
}

/// The functions of a unit that a file has; `None` if it does not have that unit. Sections of the file take room while
/// it is open.
fn functions_in(
    (file, kind): (&dyn ByteSource, FileKind),
    id: DwoId,
    (main, skeleton): (&Dwarf<Window<'_>>, &UnitRoot<'_>),
    effort: &Effort,
    room: &mut Room,
) -> Result<Option<Functions>, TableError> {
    let elf = Elf::read(file)?;
    let sections = Sections::find(file, &elf, kind, (room.0, Some(effort)))?;
    let Some(sections) = sections else { return Ok(None) };
    // Room of a reading that fails is free again.
    let mut left = *room;
    left.take(sections.memory())?;
    let open = sections.open(file, effort, FIRST_SECTION);
    let found = functions_of(&open, id, (main, skeleton), effort, &mut left)?;
    left.give_back(sections.memory());
    *room = left;
    Ok(found)
}

fn functions_of<'a>(
    sections: &'a [SectionBytes<'a>],
    id: DwoId,
    (main, skeleton): (&Dwarf<Window<'a>>, &UnitRoot<'_>),
    effort: &Effort,
    room: &mut Room,
) -> Result<Option<Functions>, TableError> {
    let Some(dwarf) = open(sections, id, main)? else { return Ok(None) };
    let (mut headers, mut units, mut found) = (dwarf.units(), Vec::new(), None);
    while let Some(header) = headers.next()?
        && units.len() < MOST_UNITS
    {
        units.push(header.offset().0);
        found = found.or(root_of(&dwarf, effort, header, id)?);
    }
    let Some(mut root) = found else { return Ok(None) };
    root.unit.copy_relocated_attributes(&skeleton.unit);
    let starts = UnitStarts { own: &units, shared: &[] };
    let mut functions = Functions::read(&dwarf, effort, (&root.unit, starts), room)?;
    functions.take_texts(sections, room)?;
    Ok(Some(functions))
}

/// The debug information that has a unit, if it is a package by the index of that; else all of it.
fn open<'a>(
    sections: &'a [SectionBytes<'a>],
    id: DwoId,
    main: &Dwarf<Window<'a>>,
) -> Result<Option<Dwarf<Window<'a>>>, TableError> {
    let Some(none) = sections.last().map(Window::of) else { return Ok(None) };
    let index = section_of(sections, gimli::SectionId::DebugCuIndex);
    if index.is_some_and(|index| !index.is_empty()) {
        let section = |id| Ok::<_, gimli::Error>(section_of(sections, id).unwrap_or(none));
        return Ok(DwarfPackage::load(section, none)?.find_cu(id, main)?);
    }
    let Some(mut dwarf) = dwarf(sections) else { return Ok(None) };
    dwarf.make_dwo(main);
    Ok(Some(dwarf))
}

/// A unit, if it is the one with that number.
fn root_of<'a>(
    dwarf: &Dwarf<Window<'a>>,
    effort: &Effort,
    header: UnitHeader<Window<'a>>,
    id: DwoId,
) -> Result<Option<UnitRoot<'a>>, TableError> {
    let first = UnitRoot::first(dwarf, effort, header)?;
    if first.unit.dwo_id != Some(id) {
        return Ok(None);
    }
    Ok(Some(UnitRoot::read(dwarf, effort, first.unit.header)?))
}
