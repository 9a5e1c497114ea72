//! The final encoding of files that a window met before they had been read.
//!
//! Files are read beside the stream, so the first samples in a file come before its facts. While the window is open
//! such a file is encoded provisionally, by file offsets. When it closes, the facts that are known by then hold for the
//! whole window; a file of which nothing is known when it closes is encoded without a mapping, by its name alone: a
//! mapping must have a build ID, and nobody knows this file's.

use pdata::{FileOffset, MappedFile};
use rustc_hash::FxHashMap;

use crate::dictionary::{Dictionary, FileMapping, FrameLocation};
use crate::mappings::{bounds, build_ids};

/// Encodes anew every location in the files `unread`, by the facts that are known of them now and their provisional
/// mappings. Returns the new number of each stack, of which several may have become one; `None` if nothing changes.
pub(crate) fn settle(unread: &FxHashMap<i32, &MappedFile>, dictionary: &mut Dictionary) -> Option<Vec<i32>> {
    // The kernel's build ID is enough for a file that cannot be read.
    let stays = |file: &&MappedFile| file.facts.get().is_none() && file.build_id.is_some();
    if unread.values().all(stays) {
        return None;
    }
    Some(dictionary.renumber(|place, mapping, dictionary| match unread.get(&place.mapping) {
        Some(file) => relocate(place, mapping, file, dictionary),
        None => FrameLocation { mapping: dictionary.mappings.intern(mapping), ..place },
    }))
}

/// Returns a location that has a provisional mapping with the mapping that its file's facts yield now.
fn relocate(
    place: FrameLocation,
    mapping: FileMapping,
    file: &MappedFile,
    dictionary: &mut Dictionary,
) -> FrameLocation {
    let attributes = build_ids(file, true, dictionary);
    if attributes == 0 {
        let lines = match place.lines {
            0 => dictionary.named(&file.path.to_string_lossy()),
            known => known,
        };
        return FrameLocation { mapping: 0, lines, ..place };
    }
    // Provisionally, addresses are file offsets.
    let address = file.elf_address(FileOffset(place.address)).map_or(place.address, |address| address.0);
    let bias = address.wrapping_sub(place.address);
    let (start, limit) = bounds(mapping.start.wrapping_add(bias), mapping.limit.wrapping_sub(mapping.start));
    let mapping = dictionary.mappings.intern(FileMapping { start, limit, attributes, ..mapping });
    FrameLocation { mapping, address, ..place }
}
