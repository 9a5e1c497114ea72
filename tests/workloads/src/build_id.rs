//! The GNU build ID inside an ELF file: its place, so that a copy can get one of its own.

use std::ops::Range;

const SHT_NOTE: u32 = 7;
const NT_GNU_BUILD_ID: u32 = 3;

/// The place of the build ID's bytes in the file. `None` if it is no 64-bit little-endian ELF file, or has none.
///
/// Source: elf(5), "Notes (Nhdr)".
#[must_use]
pub fn find(file: &[u8]) -> Option<Range<usize>> {
    // 64-bit, little-endian.
    file.get(..6).filter(|magic| *magic == b"\x7fELF\x02\x01")?;
    let sections = usize::try_from(u64_at(file, 0x28)?).ok()?;
    let size = usize::from(u16_at(file, 0x3a)?);
    let count = usize::from(u16_at(file, 0x3c)?);
    (0..count).find_map(|index| {
        let header = sections.checked_add(index.checked_mul(size)?)?;
        if u32_at(file, header.checked_add(4)?)? != SHT_NOTE {
            return None;
        }
        let start = usize::try_from(u64_at(file, header.checked_add(0x18)?)?).ok()?;
        let length = usize::try_from(u64_at(file, header.checked_add(0x20)?)?).ok()?;
        find_in_notes(file, start..start.checked_add(length)?)
    })
}

fn find_in_notes(file: &[u8], notes: Range<usize>) -> Option<Range<usize>> {
    let mut at = notes.start;
    while at.checked_add(12)? <= notes.end {
        let name_size = usize::try_from(u32_at(file, at)?).ok()?;
        let size = usize::try_from(u32_at(file, at.checked_add(4)?)?).ok()?;
        let kind = u32_at(file, at.checked_add(8)?)?;
        let name = at.checked_add(12)?;
        let start = name.checked_add(name_size.checked_next_multiple_of(4)?)?;
        let end = start.checked_add(size)?;
        if kind == NT_GNU_BUILD_ID && file.get(name..name.checked_add(name_size)?)? == b"GNU\0" {
            return file.get(start..end).map(|_bytes| start..end);
        }
        at = start.checked_add(size.checked_next_multiple_of(4)?)?;
    }
    None
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload::BURN;

    #[test]
    fn the_payload_has_a_build_id_of_20_bytes_and_only_there() {
        let range = find(BURN).unwrap();
        assert_eq!(range.len(), 20);
        let mut copy = BURN.to_vec();
        copy[range.clone()].fill(0xab);
        assert_eq!(find(&copy), Some(range));
    }

    proptest! {
        /// Any bytes are searched or refused: no panic, no read past the end.
        #[test]
        fn any_bytes(file in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = find(&file);
        }

        /// A real file with a damaged header does not lead outside itself either.
        #[test]
        fn any_damage(at in 0_usize..64, byte: u8, cut in 0_usize..BURN.len()) {
            let mut file = BURN.to_vec();
            file[at] = byte;
            file.truncate(cut);
            if let Some(range) = find(&file) {
                prop_assert!(file.get(range).is_some());
            }
        }
    }
}
