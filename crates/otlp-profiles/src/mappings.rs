//! The OTLP mappings of files, which all processes that map a file share.

use std::sync::Arc;

use pdata::{Backing, BuildId, FileOffset, KernelImage, MappedFile, Mapping, Pc, VDSO};
use smallvec::SmallVec;

use crate::attributes;
use crate::dictionary::{Dictionary, FileMapping, FrameLocation};

/// A mapping of a process or of the kernel, and how addresses in it are encoded.
///
/// Addresses in files are those of the file's own ELF headers, which do not depend on where a process has
/// mapped it: processes share locations and mappings. Of a file that has not been read they are file
/// offsets, and so are those of a file that is no ELF file. A file that has not been read when the
/// mapping is first met counts as such until the window closes, and is settled then.
///
/// Addresses in the kernel and in its modules count from the start of their text: the kernel is elsewhere after each
/// boot, and a module stands wherever there was room.
#[derive(Debug)]
pub(crate) struct EncodedMapping {
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
        indices: SmallVec<[(u64, i32); 1]>,
    },
    Other {
        /// The OTLP mapping, or 0 if the code has no build ID.
        mapping: i32,
        /// The list of the line that names code without a mapping; else the empty list.
        name: i32,
        /// The address that the addresses of the mapping count from.
        base: u64,
    },
}

impl EncodedMapping {
    pub(crate) fn new(mapping: &Arc<Mapping>, dictionary: &mut Dictionary) -> Self {
        let target = match &mapping.backing {
            Backing::File(file) => Target::File {
                file: Arc::clone(file),
                read: file.facts.get().is_some(),
                indices: SmallVec::new(),
            },
            Backing::Kernel(image) => {
                let base = mapping.start.0;
                match image.build_id {
                    Some(id) => {
                        let index = intern_kernel(mapping, image, id, dictionary);
                        Target::Other { mapping: index, name: 0, base }
                    }
                    None => Target::Other { mapping: 0, name: dictionary.named(&image.name), base },
                }
            }
            Backing::Anonymous(_) | Backing::Special(_) => {
                let name = mapping.backing.name();
                let base = if name == VDSO { mapping.start.0 } else { 0 };
                Target::Other { mapping: 0, name: dictionary.named(&name), base }
            }
        };
        Self { mapping: Arc::clone(mapping), target }
    }

    /// The file, if it had not been read when its mapping was first met, and its OTLP mappings so far.
    pub(crate) fn unread(&self) -> Option<(&MappedFile, impl Iterator<Item = i32>)> {
        match &self.target {
            Target::File { file, read: false, indices } => {
                Some((file, indices.iter().map(|&(_, index)| index)))
            }
            _ => None,
        }
    }

    /// The location of an address in the range, but for its frame type.
    pub(crate) fn place(&mut self, pc: Pc, dictionary: &mut Dictionary) -> FrameLocation {
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
            &mut Target::Other { mapping, name, base } => {
                let address = pc.0.wrapping_sub(base);
                FrameLocation { mapping, address, lines: name, ..FrameLocation::default() }
            }
        }
    }
}

/// The OTLP mapping of a range whose ELF addresses are its file offsets plus `bias`.
///
/// As in pprof, `address - memory_start + file_offset` is the file offset of an address.
fn intern(mapping: &Mapping, file: &MappedFile, read: bool, bias: u64, dictionary: &mut Dictionary) -> i32 {
    let FileOffset(offset) = mapping.file_offset;
    let length = mapping.end.0.saturating_sub(mapping.start.0);
    let (start, limit) = bounds(offset.wrapping_add(bias), length);
    let attributes = build_ids(file, read, dictionary);
    let filename = dictionary.string(&file.path.to_string_lossy());
    dictionary.mappings.intern(FileMapping { start, limit, offset, filename, attributes })
}

/// The OTLP mapping of the kernel, or of a module.
fn intern_kernel(mapping: &Mapping, image: &KernelImage, id: BuildId, dictionary: &mut Dictionary) -> i32 {
    let (start, limit) = bounds(0, mapping.end.0.saturating_sub(mapping.start.0));
    let id = dictionary.text_attribute(attributes::BUILD_ID_GNU, &id.to_string());
    let (attributes, filename) = (dictionary.lists.intern(&[id]), dictionary.string(&image.name));
    dictionary.mappings.intern(FileMapping { start, limit, offset: 0, filename, attributes })
}

/// Start and end of a range. An impossible range is encoded as unknown, for which OTLP has both 0.
pub(crate) fn bounds(start: u64, length: u64) -> (u64, u64) {
    start.checked_add(length).filter(|_| length > 0).map_or((0, 0), |limit| (start, limit))
}

/// The list of attributes that identify a file; without those that are found by reading the file unless `read`.
pub(crate) fn build_ids(file: &MappedFile, read: bool, dictionary: &mut Dictionary) -> i32 {
    let facts = file.facts.get().filter(|_| read);
    let gnu = file.build_id.or_else(|| facts?.build_id);
    let gnu = gnu.map(|id| dictionary.text_attribute(attributes::BUILD_ID_GNU, &id.to_string()));
    let htlhash = facts.map(|facts| {
        let hex = facts.htlhash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        dictionary.text_attribute(attributes::BUILD_ID_HTLHASH, &hex)
    });
    let go = facts.and_then(|facts| facts.go_build_id.as_deref());
    let go = go.map(|id| dictionary.text_attribute(attributes::BUILD_ID_GO, id));
    let ids: SmallVec<[i32; 3]> = [gnu, htlhash, go].into_iter().flatten().collect();
    dictionary.lists.intern(&ids)
}
