//! A unit of debug information: most often the result of compiling one source file.

use std::sync::Arc;

use gimli::constants as dw;
use gimli::{
    Abbreviations, Attribute, AttributeValue, DebugAbbrev, DebugAddrBase, DebugLocListsBase,
    DebugRngListsBase, DebugStrOffsetsBase, DwTag, Dwarf, DwoId, Error, Reader as _, Section as _,
    UnitHeader, UnitType,
};

use super::window::{Effort, Window};

pub(super) type Unit<'a> = gimli::Unit<Window<'a>>;

/// The most bytes of descriptions of entries (`.debug_abbrev`) that are read for one unit.
const MAX_ABBREVIATIONS: usize = 512 << 10;
/// The longest path of a file that has the rest of a unit.
const LONGEST_PATH: usize = 4 << 10;

/// A unit, and the attributes of its first entry.
#[derive(Debug)]
pub(super) struct UnitRoot<'a> {
    pub(super) unit: Unit<'a>,
    pub(super) tag: DwTag,
    pub(super) ranges: RangeAttributes<'a>,
    /// Offset of the unit's lines in `.debug_line`.
    pub(super) lines: Option<usize>,
    /// Path of the file that has the rest of the unit.
    split: Option<Window<'a>>,
}

impl<'a> UnitRoot<'a> {
    /// Reads a unit, and the descriptions of all its entries.
    pub(super) fn read(
        dwarf: &Dwarf<Window<'a>>,
        effort: &Effort,
        header: UnitHeader<Window<'a>>,
    ) -> gimli::Result<Self> {
        let at = header.debug_abbrev_offset();
        let section = dwarf.debug_abbrev.reader().first(at.0.saturating_add(MAX_ABBREVIATIONS));
        let abbreviations = DebugAbbrev::from(section).abbreviations(at)?;
        Self::with(dwarf, effort, header, abbreviations)
    }

    /// Reads a unit, and the description of its first entry only. The description is enough to find the unit's code,
    /// and by far the smallest part of them all.
    pub(super) fn first(
        dwarf: &Dwarf<Window<'a>>,
        effort: &Effort,
        header: UnitHeader<Window<'a>>,
    ) -> gimli::Result<Self> {
        let mut entry = *dwarf.debug_info.reader();
        entry.skip(header.offset().0.saturating_add(header.root_offset().0))?;
        let code = entry.read_uleb128()?;
        let mut start = *dwarf.debug_abbrev.reader();
        start.skip(header.debug_abbrev_offset().0)?;
        let mut rest = start;
        if code == 0 || rest.read_uleb128()? != code {
            return Self::read(dwarf, effort, header);
        }
        let (_tag, _children) = (rest.read_uleb128()?, rest.read_u8()?);
        loop {
            let (name, form) = (rest.read_uleb128()?, rest.read_uleb128()?);
            if form == u64::from(dw::DW_FORM_implicit_const.0) {
                rest.read_sleb128()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
        }
        start.truncate(rest.offset_from(&start))?;
        let mut bytes = start.to_slice()?.into_owned();
        bytes.push(0);
        let abbreviations =
            DebugAbbrev::new(&bytes, start.endian()).abbreviations(gimli::DebugAbbrevOffset(0))?;
        Self::with(dwarf, effort, header, abbreviations)
    }

    fn with(
        dwarf: &Dwarf<Window<'a>>,
        effort: &Effort,
        header: UnitHeader<Window<'a>>,
        abbreviations: Abbreviations,
    ) -> gimli::Result<Self> {
        let (encoding, kind) = (header.encoding(), dwarf.file_type);
        let mut unit = gimli::Unit {
            abbreviations: Arc::new(abbreviations),
            name: None,
            comp_dir: None,
            low_pc: 0,
            str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(encoding, kind),
            addr_base: DebugAddrBase(0),
            loclists_base: DebugLocListsBase::default_for_encoding_and_file(encoding, kind),
            rnglists_base: DebugRngListsBase::default_for_encoding_and_file(encoding, kind),
            line_program: None,
            dwo_id: match header.type_() {
                UnitType::Skeleton(id) | UnitType::SplitCompilation(id) => Some(id),
                _ => None,
            },
            header,
        };
        let (tag, attributes) = {
            let mut entries = unit.header.entries_raw(&unit.abbreviations, None)?;
            let abbreviation = entries.read_abbreviation()?.ok_or(Error::MissingUnitDie)?;
            effort.spend(abbreviation.attributes().len() as u64)?;
            let mut attributes = Vec::new();
            entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
            (abbreviation.tag(), attributes)
        };
        let (mut ranges, mut lines, mut directory, mut split) =
            (RangeAttributes::default(), None, None, None);
        for attribute in &attributes {
            ranges.take(attribute);
            match attribute.value() {
                AttributeValue::DebugLineRef(offset) if attribute.name() == dw::DW_AT_stmt_list => {
                    lines = Some(offset.0)
                }
                AttributeValue::DebugStrOffsetsBase(base) => unit.str_offsets_base = base,
                AttributeValue::DebugAddrBase(base) => unit.addr_base = base,
                AttributeValue::DebugRngListsBase(base) => unit.rnglists_base = base,
                AttributeValue::DwoId(id) => unit.dwo_id = unit.dwo_id.or(Some(id)),
                value if [dw::DW_AT_dwo_name, dw::DW_AT_GNU_dwo_name].contains(&attribute.name()) => {
                    split = Some(value)
                }
                value if attribute.name() == dw::DW_AT_comp_dir => directory = Some(value),
                _ => {}
            }
        }
        unit.comp_dir = directory.and_then(|directory| dwarf.attr_string(&unit, directory).ok());
        if let Some(low) = ranges.low
            && let Some(low) = dwarf.attr_address(&unit, low)?
        {
            unit.low_pc = low;
        }
        let split = split.and_then(|split| dwarf.attr_string(&unit, split).ok());
        Ok(Self { unit, tag, ranges, lines, split })
    }

    /// The file that has the rest of the unit; `None` if there is no other.
    pub(super) fn split_unit(&self) -> Option<SplitUnit> {
        let text = |text: &Window<'a>| {
            let text = text.first(LONGEST_PATH).to_slice().ok()?.into_owned();
            String::from_utf8(text).ok()
        };
        let directory = self.unit.comp_dir.as_ref().and_then(text).unwrap_or_default();
        Some(SplitUnit { id: self.unit.dwo_id?, directory, path: text(self.split.as_ref()?)? })
    }
}

/// The facts in a unit about the file that has the rest of it.
#[derive(Debug)]
pub(super) struct SplitUnit {
    /// Number of the unit, which the file must have, too.
    pub(super) id: DwoId,
    /// The directory in which the compiler ran; empty if that is not known.
    pub(super) directory: String,
    /// Path of the file, absolute or relative to that directory.
    pub(super) path: String,
}

/// The attributes of an entry that describe the place of its code.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RangeAttributes<'a> {
    low: Option<AttributeValue<Window<'a>>>,
    high: Option<AttributeValue<Window<'a>>>,
    list: Option<AttributeValue<Window<'a>>>,
}

impl<'a> RangeAttributes<'a> {
    /// Takes an attribute, if it is one of them.
    pub(super) fn take(&mut self, attribute: &Attribute<Window<'a>>) {
        match attribute.name() {
            dw::DW_AT_low_pc => self.low = Some(attribute.value()),
            dw::DW_AT_high_pc => self.high = Some(attribute.value()),
            dw::DW_AT_ranges => self.list = Some(attribute.value()),
            _ => {}
        }
    }

    /// Calls `each` with the start and the end of each range. Code that the linker has left out has no range: its
    /// address is 0, or one of the last.
    pub(super) fn each<E: From<Error>>(
        &self,
        dwarf: &Dwarf<Window<'a>>,
        unit: &Unit<'a>,
        mut each: impl FnMut(u64, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut each =
            |start: u64, end: u64| if start == 0 || start >= end { Ok(()) } else { each(start, end) };
        if let Some(list) = self.list
            && let Some(mut list) = dwarf.attr_ranges(unit, list)?
        {
            while let Some(range) = list.next()? {
                each(range.begin, range.end)?;
            }
            return Ok(());
        }
        let Some(low) = self.low else { return Ok(()) };
        let Some(low) = dwarf.attr_address(unit, low)? else { return Ok(()) };
        let end = match self.high {
            Some(AttributeValue::Udata(size)) => low.checked_add(size),
            Some(high) => dwarf.attr_address(unit, high)?,
            None => None,
        };
        end.map_or(Ok(()), |end| each(low, end))
    }
}
