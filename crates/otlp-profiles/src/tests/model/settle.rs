//! The final encoding of files that a window met before they had been read.
//!
//! Files are read beside the stream, so the first samples in a file come before its facts. While the window is open
//! such a file is encoded provisionally, by file offsets. When it closes, the facts that are known by then hold for the
//! whole window; a file of which nothing is known to the end is encoded by its name alone, since a mapping must have a
//! build ID.

use opentelemetry_proto::tonic::profiles::v1development as otlp;
use pdata::{FileOffset, MappedFile};
use rustc_hash::FxHashMap;

use super::dictionary::{Dictionary, FrameLocation};
use super::mappings::build_ids;

/// Encodes anew every location in the files `unread`, by the facts that are known of them now and their provisional
/// mappings. Returns the new number of each stack, of which several may have become one; `None` if nothing changes.
pub(in crate::tests) fn settle(
    unread: &FxHashMap<i32, &MappedFile>,
    dictionary: &mut Dictionary,
) -> Option<Vec<i32>> {
    // The kernel's build ID is enough for a file that cannot be read.
    let stays = |file: &&MappedFile| file.facts.get().is_none() && file.build_id.is_some();
    if unread.values().all(stays) {
        return None;
    }
    let mappings = dictionary.take_mappings();
    Some(dictionary.renumber(|place, dictionary| {
        let number = usize::try_from(place.mapping).ok().filter(|&number| number > 0);
        let Some(mapping) = number.and_then(|number| mappings.get(number)) else { return place };
        match unread.get(&place.mapping) {
            Some(file) => relocate(place, mapping, file, dictionary),
            None => FrameLocation { mapping: dictionary.mapping(mapping), ..place },
        }
    }))
}

/// Returns a location that has a provisional mapping with the mapping that its file's facts yield now.
fn relocate(
    place: FrameLocation,
    mapping: &otlp::Mapping,
    file: &MappedFile,
    dictionary: &mut Dictionary,
) -> FrameLocation {
    let attribute_indices = build_ids(file, true, dictionary);
    if attribute_indices.is_empty() {
        let path = dictionary.named(&file.path.to_string_lossy());
        return FrameLocation {
            mapping: 0,
            lines: if place.lines.is_empty() { path } else { place.lines },
            ..place
        };
    }
    // Provisionally, addresses are file offsets.
    let address = file.elf_address(FileOffset(place.address)).map_or(place.address, |address| address.0);
    let bias = address.wrapping_sub(place.address);
    let length = mapping.memory_limit.wrapping_sub(mapping.memory_start);
    let memory_start = mapping.memory_start.wrapping_add(bias);
    let (memory_start, memory_limit) =
        memory_start.checked_add(length).filter(|_| length > 0).map_or((0, 0), |limit| (memory_start, limit));
    let mapping =
        dictionary.mapping(&otlp::Mapping { memory_start, memory_limit, attribute_indices, ..*mapping });
    FrameLocation { mapping, address, ..place }
}
