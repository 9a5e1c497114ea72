//! The units of a file by the addresses of their code.

use gimli::Dwarf;
use gimli::constants as dw;

use super::room::{Room, TableError};
use super::unit::UnitRoot;
use super::window::{Effort, Window};

/// The most ranges that are looked at for one address, where units claim to overlap.
const MOST_OVERLAPPING: usize = 64;
/// The most units that are searched for one address.
const MOST_UNITS: usize = 4;

/// The units of a file by their addresses.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Code of the units, by start.
    ranges: Box<[UnitRange]>,
    /// Offsets in `.debug_info` at which units begin, in order.
    pub(super) units: Box<[usize]>,
}

/// Code of a unit.
#[derive(Clone, Copy, Debug)]
struct UnitRange {
    start: u64,
    end: u64,
    /// The end that is the highest of this and all ranges before it.
    reach: u64,
    unit: u32,
}

impl Index {
    pub(super) fn read(
        dwarf: &Dwarf<Window<'_>>,
        effort: &Effort,
        room: &mut Room,
    ) -> Result<Self, TableError> {
        let (mut ranges, mut units) = (Vec::new(), Vec::new());
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            let Ok(number) = u32::try_from(units.len()) else { break };
            room.take(size_of::<usize>())?;
            units.push(header.offset().0);
            // A unit of a kind that is not known is no reason to give up the others, unless it has taken all effort.
            let Ok(root) = UnitRoot::first(dwarf, effort, header) else {
                effort.spend(1)?;
                continue;
            };
            if ![dw::DW_TAG_compile_unit, dw::DW_TAG_skeleton_unit].contains(&root.tag) {
                continue;
            }
            root.ranges.each(dwarf, &root.unit, |start, end| {
                room.take(size_of::<UnitRange>())?;
                ranges.push(UnitRange { start, end, reach: end, unit: number });
                Ok::<_, TableError>(())
            })?;
        }
        ranges.sort_by_key(|range| range.start);
        let mut reach = 0;
        for range in &mut ranges {
            reach = range.end.max(reach);
            range.reach = reach;
        }
        Ok(Self { ranges: ranges.into(), units: units.into() })
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.ranges) + size_of_val(&*self.units)
    }

    /// The units that an address may be in, the one whose range is the smallest first.
    pub(super) fn units_at(&self, address: u64) -> Vec<u32> {
        let after = self.ranges.partition_point(|range| range.start <= address);
        let before = self.ranges.get(..after).unwrap_or_default().iter().rev().take(MOST_OVERLAPPING);
        let before = before.take_while(|range| range.reach > address).filter(|range| range.end > address);
        let mut found: Vec<_> = before.map(|range| (range.end - range.start, range.unit)).collect();
        found.sort_unstable();
        found.dedup_by_key(|(_, unit)| *unit);
        found.into_iter().map(|(_, unit)| unit).take(MOST_UNITS).collect()
    }
}
