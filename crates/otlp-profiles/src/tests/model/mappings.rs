//! The OTLP mappings of files, which all processes that map a file share.

use std::sync::Arc;

use opentelemetry_proto::tonic::profiles::v1development as otlp;
use pdata::{Backing, FileOffset, MappedFile, Mapping, Pc, VDSO};

use super::dictionary::{Dictionary, FrameLocation};
use crate::attributes;

/// A mapping of a process, and how addresses in it are encoded.
///
/// Addresses are those of the file's own ELF headers, which do not depend on where a process has
/// mapped it: processes share locations and mappings. Of a file that has not been read they are file
/// offsets, and so are those of a file that is no ELF file. A file that has not been read when the
/// mapping is first met counts as such until the window closes, and is settled then.
#[derive(Debug)]
pub(in crate::tests) struct EncodedMapping {
    /// The mapping, held so that no other takes its address in memory while the window is open.
    mapping: Arc<Mapping>,
    target: Target,
}

#[derive(Debug)]
enum Target {
    File {
        file: Arc<MappedFile>,
        /// True if the file had been read when its mapping was first met.
        read: bool,
        /// The OTLP mapping for each distance between ELF address and file offset: one, save in a range
        /// that spans segments.
        indices: Vec<(u64, i32)>,
    },
    Other {
        mapping: i32,
        name: Vec<(i32, i64)>,
        /// The address that the addresses of the mapping count from.
        base: u64,
    },
}

impl EncodedMapping {
    pub(in crate::tests) fn new(mapping: &Arc<Mapping>, dictionary: &mut Dictionary) -> Self {
        let target = match &mapping.backing {
            Backing::File(file) => {
                Target::File { file: Arc::clone(file), read: file.facts.get().is_some(), indices: Vec::new() }
            }
            Backing::Kernel(image) => {
                let (base, length) = (mapping.start.0, mapping.end.0.saturating_sub(mapping.start.0));
                let Some(id) = image.build_id else {
                    let name = dictionary.named(&image.name);
                    return Self {
                        mapping: Arc::clone(mapping),
                        target: Target::Other { mapping: 0, name, base },
                    };
                };
                let id = dictionary.text_attribute(attributes::BUILD_ID_GNU, &id.to_string());
                let filename_strindex = dictionary.string(&image.name);
                let index = dictionary.mapping(&otlp::Mapping {
                    memory_start: 0,
                    memory_limit: length,
                    file_offset: 0,
                    filename_strindex,
                    attribute_indices: vec![id],
                });
                Target::Other { mapping: index, name: Vec::new(), base }
            }
            Backing::Anonymous(_) | Backing::Special(_) => {
                let name = mapping.backing.name();
                let base = if name == VDSO { mapping.start.0 } else { 0 };
                Target::Other { mapping: 0, name: dictionary.named(&name), base }
            }
        };
        Self { mapping: Arc::clone(mapping), target }
    }

    /// The file, if it had not been read when it was first met, and its mappings so far.
    pub(in crate::tests) fn unread(&self) -> Option<(&MappedFile, impl Iterator<Item = i32>)> {
        match &self.target {
            Target::File { file, read: false, indices } => {
                Some((file, indices.iter().map(|&(_, index)| index)))
            }
            _ => None,
        }
    }

    /// The location of an address in the range, but for its frame type.
    pub(in crate::tests) fn place(&mut self, pc: Pc, dictionary: &mut Dictionary) -> FrameLocation {
        match &mut self.target {
            Target::File { file, read, indices } => {
                let offset = self.mapping.offset_of(pc);
                let elf = read.then(|| file.elf_address(offset)).flatten();
                let address = elf.map_or(offset.0, |address| address.0);
                let bias = address.wrapping_sub(offset.0);
                let known = indices.iter().find(|(of, _)| *of == bias).map(|&(_, index)| index);
                let mapping = known.unwrap_or_else(|| {
                    let index = intern(&self.mapping, file, *read, bias, dictionary);
                    indices.push((bias, index));
                    index
                });
                FrameLocation { mapping, address, ..FrameLocation::default() }
            }
            Target::Other { mapping, name, base } => FrameLocation {
                mapping: *mapping,
                address: pc.0.wrapping_sub(*base),
                lines: name.clone(),
                ..FrameLocation::default()
            },
        }
    }
}

/// The OTLP mapping of a range whose ELF addresses are its file offsets plus `bias`.
///
/// As in pprof, `address - memory_start + file_offset` is the file offset of an address.
fn intern(mapping: &Mapping, file: &MappedFile, read: bool, bias: u64, dictionary: &mut Dictionary) -> i32 {
    let FileOffset(file_offset) = mapping.file_offset;
    let start = file_offset.wrapping_add(bias);
    let length = mapping.end.0.saturating_sub(mapping.start.0);
    // An impossible range is encoded as unknown, for which OTLP has both bounds 0.
    let (memory_start, memory_limit) =
        start.checked_add(length).filter(|_| length > 0).map_or((0, 0), |limit| (start, limit));
    let attribute_indices = build_ids(file, read, dictionary);
    let filename_strindex = dictionary.string(&file.path.to_string_lossy());
    dictionary.mapping(&otlp::Mapping {
        memory_start,
        memory_limit,
        file_offset,
        filename_strindex,
        attribute_indices,
    })
}

/// The attributes that identify a file; without those that are found by reading the file unless `read`.
pub(in crate::tests) fn build_ids(file: &MappedFile, read: bool, dictionary: &mut Dictionary) -> Vec<i32> {
    let facts = file.facts.get().filter(|_| read);
    let gnu = file.build_id.or_else(|| facts?.build_id);
    let gnu = gnu.map(|id| dictionary.text_attribute(attributes::BUILD_ID_GNU, &id.to_string()));
    let htlhash = facts.map(|facts| {
        let hex = facts.htlhash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        dictionary.text_attribute(attributes::BUILD_ID_HTLHASH, &hex)
    });
    let go = facts.and_then(|facts| facts.go_build_id.as_deref());
    let go = go.map(|id| dictionary.text_attribute(attributes::BUILD_ID_GO, id));
    [gnu, htlhash, go].into_iter().flatten().collect()
}
