//! The files that samples refer to by number, and the mappings made of them.

use std::sync::Arc;

use foldhash::HashMap;
use pdata::{
    AddressKind, Backing, Code, FileOffset, Frame, KTime, MappedFile, Mapping, Pc, ProcessKey, Sample, Stack,
};
use smallvec::SmallVec;

use crate::abi::{self, FileKey, SampleMapping};
use crate::decode::{AnnouncedFile, RawFrame, RawSample};
use crate::kernel::KernelImages;
use crate::unwind::{Followed, MetFile};

/// The most files that are known: as many as the kernel side remembers to have announced.
const MAX_FILES: usize = 8192;
/// The most bytes of the files' paths: users who map files choose how long their names are.
const MAX_PATH_BYTES: usize = 4 << 20;
/// The most mappings of either generation: see [`Mappings`].
const MAX_MAPPINGS: usize = 8192;
/// The most mappings that most samples have.
const USUAL_MAPPINGS: usize = 8;

/// Every file that has been announced and not forgotten.
///
/// Bounded whatever users map: the files longest unused are forgotten, and the kernel side is asked to forget them too,
/// so that it announces them again should they come back.
#[derive(Debug)]
pub(crate) struct Files {
    by_id: HashMap<u64, Known>,
    by_key: HashMap<FileKey, u64>,
    path_bytes: usize,
    mappings: Mappings,
    vdso: Backing,
    kernel: KernelImages,
    /// The number of samples so far, by which the last use of each file is noted.
    now: u64,
    forgotten: Vec<FileKey>,
    unknown: u64,
}

#[derive(Debug)]
struct Known {
    key: FileKey,
    backing: Backing,
    path_bytes: usize,
    used: u64,
}

impl Files {
    /// Files of which none is known yet, with these images of the kernel.
    pub(crate) fn new(kernel: KernelImages) -> Self {
        Self {
            by_id: HashMap::default(),
            by_key: HashMap::default(),
            path_bytes: 0,
            mappings: Mappings::default(),
            vdso: Backing::Special(pdata::VDSO.into()),
            kernel,
            now: 0,
            forgotten: Vec::new(),
            unknown: 0,
        }
    }

    /// Takes in an announced file. A file that is known, announced again because the kernel side had to forget it,
    /// stays the same file.
    pub(crate) fn announce(&mut self, announced: AnnouncedFile) {
        let AnnouncedFile { id, key, file, nowhere } = announced;
        let path_bytes = file.path.as_os_str().len();
        let known = self.by_key.get(&key).and_then(|id| self.by_id.get(id));
        let backing = match known.map(|known| &known.backing) {
            Some(Backing::File(same)) if same.build_id == file.build_id => Backing::File(Arc::clone(same)),
            _ => backing(file, nowhere),
        };
        self.path_bytes += path_bytes;
        if let Some(before) = self.by_id.insert(id, Known { key, backing, path_bytes, used: self.now }) {
            self.path_bytes -= before.path_bytes;
        }
        self.by_key.insert(key, id);
        if self.by_id.len() > MAX_FILES || self.path_bytes > MAX_PATH_BYTES {
            self.forget_older_half();
        }
    }

    /// The sample, with its mappings in the place of their numbers.
    pub(crate) fn open(&mut self, raw: RawSample) -> OpenSample {
        let RawSample { sample, kernel, user, mappings, end, cgroup: _, rest: _ } = raw;
        self.now += 1;
        let mappings: SmallVec<[_; USUAL_MAPPINGS]> =
            mappings.iter().map(|mapping| self.mapping(mapping, sample.key.process)).collect();
        let images = &mut self.kernel;
        let mut frames = Vec::with_capacity(kernel.len() + user.len());
        let kernel = kernel.iter().enumerate();
        frames.extend(kernel.map(|(depth, &pc)| frame(depth == 0, pc, images.code(pc))));
        let mut open = OpenSample { sample, frames, mappings, end };
        open.add(&user, true);
        open
    }

    /// The file that a sample's mapping is of, to read its unwind tables if they are not known.
    pub(crate) fn met(&self, mapping: &SampleMapping, process: ProcessKey) -> Option<MetFile> {
        let known = self.by_id.get(&mapping.file)?;
        let file = match &known.backing {
            Backing::File(file) => Some(Arc::clone(file)),
            _ => None,
        };
        let range = (Pc(mapping.start), Pc(mapping.end));
        Some(MetFile { identity: known.key.identity(), file, process, range })
    }

    /// Files that the kernel side is to forget, since they have been forgotten here.
    pub(crate) fn take_forgotten(&mut self) -> Vec<FileKey> {
        std::mem::take(&mut self.forgotten)
    }

    /// Mappings whose file was not known, since this was last called.
    pub(crate) fn take_unknown(&mut self) -> u64 {
        std::mem::take(&mut self.unknown)
    }

    fn mapping(&mut self, raw: &SampleMapping, process: ProcessKey) -> Option<Arc<Mapping>> {
        let backing = match raw.file {
            abi::MAPPED_UNANNOUNCED => return None,
            abi::MAPPED_ANONYMOUS => {
                return Some(self.mappings.get(raw, process, &Backing::Anonymous(process)));
            }
            abi::MAPPED_VDSO => &self.vdso,
            id => match self.by_id.get_mut(&id) {
                Some(known) => {
                    known.used = self.now;
                    &known.backing
                }
                None => {
                    self.unknown += 1;
                    return None;
                }
            },
        };
        Some(self.mappings.get(raw, ProcessKey::default(), backing))
    }

    fn forget_older_half(&mut self) {
        // Numbers count up: of files last used at one time the older ones go.
        let mut ages: Vec<_> = self.by_id.iter().map(|(&id, known)| (known.used, id)).collect();
        let middle = ages.len() / 2;
        let (older, ..) = ages.select_nth_unstable(middle);
        for &mut (_, id) in older {
            let Some(known) = self.by_id.remove(&id) else { continue };
            self.path_bytes -= known.path_bytes;
            // The file may have been announced again since, under another number.
            if self.by_key.get(&known.key) == Some(&id) {
                self.by_key.remove(&known.key);
                self.forgotten.push(known.key);
            }
        }
    }
}

/// A sample to which frames may still be added.
#[derive(Debug)]
pub(crate) struct OpenSample {
    /// The sample itself, with an empty stack.
    sample: Sample,
    frames: Vec<Frame>,
    mappings: SmallVec<[Option<Arc<Mapping>>; USUAL_MAPPINGS]>,
    /// The end of the user stack, a `stack_end`.
    end: u16,
}

impl OpenSample {
    #[cfg(test)]
    pub(crate) fn new(sample: Sample, end: u16) -> Self {
        Self { sample, frames: Vec::new(), mappings: SmallVec::new(), end }
    }

    /// The instant at which the sample was taken.
    pub(crate) fn at(&self) -> KTime {
        self.sample.at
    }

    /// The reason why the sample's user stack has no more frames, a `stack_end`.
    pub(crate) fn end(&self) -> u16 {
        self.end
    }

    /// Adds the rest of the user stack.
    pub(crate) fn go_on(&mut self, followed: &Followed) {
        self.add(&followed.frames, false);
        self.end = followed.end;
    }

    /// The sample with the stack as it is now.
    pub(crate) fn close(self) -> Sample {
        let Self { mut sample, frames, end, mappings: _ } = self;
        sample.stack = Stack::new(frames);
        sample.stack.end = abi::STACK_ENDS.get(usize::from(end)).map(|(_, end)| *end).unwrap_or_default();
        sample
    }

    fn add(&mut self, frames: &[RawFrame], from_leaf: bool) {
        let mappings = &self.mappings;
        self.frames.extend(frames.iter().enumerate().map(
            |(depth, &RawFrame { pc, mapping, interrupted })| {
                let mapping = mapping.and_then(|index| mappings.get(index)?.as_ref());
                frame(
                    (from_leaf && depth == 0) || interrupted,
                    pc,
                    mapping.map_or(Code::Unknown, |mapping| Code::Mapped(Arc::clone(mapping))),
                )
            },
        ));
    }
}

/// A frame of one of a sample's two stacks. Both leaves were read from registers: passing from user to kernel code is
/// no call.
fn frame(exact: bool, pc: Pc, code: Code) -> Frame {
    let kind = if exact { AddressKind::Exact } else { AddressKind::Return };
    Frame { pc, kind, code, lines: None }
}

fn backing(file: MappedFile, nowhere: bool) -> Backing {
    // Shared anonymous memory and the like: the kernel makes a file for it, with a name of its own making.
    if nowhere && !file.path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
        return Backing::Special(file.path.to_string_lossy().into());
    }
    Backing::File(Arc::new(file))
}

/// Mappings that samples had lately, so that later ones share them. When the younger generation is full it becomes the
/// older one, which is dropped.
#[derive(Debug, Default)]
struct Mappings {
    younger: HashMap<MappingKey, Arc<Mapping>>,
    older: HashMap<MappingKey, Arc<Mapping>>,
}

/// A mapping, and for anonymous memory its process.
type MappingKey = (SampleMapping, ProcessKey);

impl Mappings {
    fn get(&mut self, raw: &SampleMapping, process: ProcessKey, backing: &Backing) -> Arc<Mapping> {
        let key = (*raw, process);
        if let Some(known) = self.younger.get(&key) {
            return Arc::clone(known);
        }
        if self.younger.len() >= MAX_MAPPINGS {
            self.older = std::mem::take(&mut self.younger);
        }
        let mapping = self.older.remove(&key).unwrap_or_else(|| {
            Arc::new(Mapping {
                start: Pc(raw.start),
                end: Pc(raw.end),
                file_offset: FileOffset(raw.file_offset),
                backing: backing.clone(),
            })
        });
        self.younger.insert(key, Arc::clone(&mapping));
        mapping
    }
}

#[cfg(test)]
mod tests;
