//! Stacks of samples to indices of the dictionary.

use std::sync::Arc;

use pdata::{AddressKind, Code, Frame, Lines, Pc, Sample};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::attributes;
use crate::dictionary::{Dictionary, FrameLocation, Line};
use crate::mappings::EncodedMapping;
use crate::settle::settle;
use crate::table::{Lists, clear, entry, recycle};

/// Function that stands for kernel code.
const KERNEL: &str = "[kernel]";
/// Function that stands for user code of which nothing is known, and for a stack without frames.
const UNKNOWN: &str = "[unknown]";

/// Interns stacks, with look-ups by pointer and address before those by content: of whole stacks, then of frames.
///
/// OTLP leaves it open which byte of a call instruction a caller's address is. As the reference profiler does, and as
/// symbolizers expect, it is the byte before the return address; a leaf is encoded with its address as it is
/// ([`Frame::lookup_pc`]).
#[derive(Debug, Default)]
pub(crate) struct Frames {
    ranges: FxHashMap<usize, EncodedMapping>,
    /// Functions and their numbers, by their addresses in memory. The map holds each function so that no other takes
    /// its address.
    functions: FxHashMap<usize, (Arc<pdata::Function>, i32)>,
    /// Lines of frames and the numbers of their lists, by their addresses in memory, which no others take while the map
    /// holds them.
    lines: FxHashMap<usize, (Arc<Lines>, i32)>,
    /// Locations by space, address and lines.
    locations: foldhash::HashMap<(usize, Pc, usize), i32>,
    /// Stacks as they were sampled, in the form of [`write_key`].
    sampled: Lists<u64>,
    /// Index of each sampled stack in the dictionary.
    stacks: Vec<i32>,
    /// Attributes of the types of frames.
    frame_types: FxHashMap<&'static str, i32>,
    /// A buffer for a stack, kept between calls for its memory.
    stack: Vec<i32>,
    /// A buffer for a key, kept between calls for its memory.
    key: Vec<u64>,
}

/// Key of the kernel's addresses among [`Frames::locations`]; no pointer has this value.
const KERNEL_SPACE: usize = 0;
/// Key of addresses without a mapping; no pointer to a mapping has this value.
const NO_MAPPING: usize = 4;
/// Bit in the key of a frame whose address is a return address. Pointers leave the bit free, since they are aligned.
const RETURN: usize = 1;
/// Bit in the key of a frame with lines. Pointers leave the bit free, since they are aligned.
const NAMED: usize = 2;

impl Frames {
    /// Forgets all stacks and frames.
    pub(crate) fn clear(&mut self) {
        clear(&mut self.ranges);
        clear(&mut self.functions);
        clear(&mut self.lines);
        clear(&mut self.locations);
        self.sampled.clear();
        recycle(&mut self.stacks);
        clear(&mut self.frame_types);
    }

    /// Index of a sample's stack.
    ///
    /// A sample without frames has one, `[kernel]` or `[unknown]`: readers drop a sample with an empty stack.
    pub(crate) fn stack(&mut self, sample: &Sample, dictionary: &mut Dictionary) -> i32 {
        let frames = &sample.stack.frames;
        if frames.is_empty() {
            let nowhere = self.nowhere(sample.running.is_kernel(), dictionary);
            return dictionary.stacks.intern(&[nowhere]);
        }
        write_key(frames, &mut self.key);
        // Number 0 is the empty list, which no stack here is.
        let number = self.sampled.intern(&self.key);
        if let Some(&known) = number.checked_sub(1).and_then(|number| entry(&self.stacks, number)) {
            return known;
        }
        let stack = self.new_stack(frames, dictionary);
        self.stacks.push(stack);
        stack
    }

    fn new_stack(&mut self, frames: &[Frame], dictionary: &mut Dictionary) -> i32 {
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        stack.extend(frames.iter().map(|frame| self.location(frame, dictionary)));
        let index = dictionary.stacks.intern(&stack);
        self.stack = stack;
        index
    }

    /// Encodes anew the files that had not been read when their mappings were first met, and have been since. Returns
    /// the new number of each stack; `None` if nothing changes.
    pub(crate) fn settle(&self, dictionary: &mut Dictionary) -> Option<Vec<i32>> {
        let mut unread = FxHashMap::default();
        for (file, mappings) in self.ranges.values().filter_map(EncodedMapping::unread) {
            for mapping in mappings {
                // Two files can share a path and a mapping: the one that has been read describes both.
                let known = unread.entry(mapping).or_insert(file);
                if known.facts.get().is_none() {
                    *known = file;
                }
            }
        }
        settle(&unread, dictionary)
    }

    fn location(&mut self, frame: &Frame, dictionary: &mut Dictionary) -> i32 {
        let space = space(&frame.code);
        let pc = match frame.code {
            Code::Interpreted(_, line) => Pc(line.into()),
            _ => frame.lookup_pc(),
        };
        let key = (space, pc, lines_address(frame));
        if let Some(&location) = self.locations.get(&key) {
            return location;
        }
        let mut place = match &frame.code {
            Code::Kernel => code_of(KERNEL, pc, dictionary),
            Code::Unknown => code_of(UNKNOWN, pc, dictionary),
            Code::Mapped(mapping) => {
                let range =
                    self.ranges.entry(space).or_insert_with(|| EncodedMapping::new(mapping, dictionary));
                range.place(pc, dictionary)
            }
            Code::Interpreted(function, line) => {
                let line =
                    self.line(&pdata::Line { function: Arc::clone(function), line: *line }, dictionary);
                FrameLocation { lines: dictionary.lines.intern(&[line]), ..FrameLocation::default() }
            }
        };
        if let Some(lines) = &frame.lines {
            place.lines = self.lines(lines, dictionary);
        }
        place.frame_type = self.frame_type(attributes::frame_type(frame), dictionary);
        let location = dictionary.locations.intern(place);
        self.locations.insert(key, location);
        location
    }

    fn lines(&mut self, lines: &Arc<Lines>, dictionary: &mut Dictionary) -> i32 {
        let address = Arc::as_ptr(lines).addr();
        if let Some(&(_, known)) = self.lines.get(&address) {
            return known;
        }
        let list = lines.0.iter().map(|line| self.line(line, dictionary)).collect::<SmallVec<[Line; 4]>>();
        let number = dictionary.lines.intern(&list);
        self.lines.insert(address, (Arc::clone(lines), number));
        number
    }

    fn line(&mut self, line: &pdata::Line, dictionary: &mut Dictionary) -> Line {
        let pdata::Line { function, line } = line;
        let known = self.functions.entry(Arc::as_ptr(function).addr());
        let (_, function) = known.or_insert_with(|| (Arc::clone(function), dictionary.function(function)));
        Line { function: *function, line: (*line).into(), column: 0 }
    }

    fn nowhere(&mut self, kernel: bool, dictionary: &mut Dictionary) -> i32 {
        let mut place = code_of(if kernel { KERNEL } else { UNKNOWN }, Pc(0), dictionary);
        let name = if kernel { attributes::FRAME_TYPE_KERNEL } else { attributes::FRAME_TYPE_NATIVE };
        place.frame_type = self.frame_type(name, dictionary);
        dictionary.locations.intern(place)
    }

    fn frame_type(&mut self, name: &'static str, dictionary: &mut Dictionary) -> i32 {
        let known = self.frame_types.entry(name);
        *known.or_insert_with(|| dictionary.text_attribute(attributes::FRAME_TYPE, name))
    }
}

/// Key of the space that a frame's address counts in: the address in memory of its mapping or function, or one of the
/// two spaces without.
fn space(code: &Code) -> usize {
    match code {
        Code::Kernel => KERNEL_SPACE,
        Code::Unknown => NO_MAPPING,
        Code::Mapped(mapping) => Arc::as_ptr(mapping).addr(),
        Code::Interpreted(function, _) => Arc::as_ptr(function).addr(),
    }
}

/// Address in memory of a frame's lines; 0 if the frame has none.
fn lines_address(frame: &Frame) -> usize {
    frame.lines.as_ref().map_or(0, |lines| Arc::as_ptr(lines).addr())
}

/// Writes the key that distinguishes stacks: address and space of each frame, then the addresses in memory of the
/// frames' lines, and the number of frames.
///
/// Lines and number are written only if a frame has lines, so stacks without take no more than they need. Two stacks
/// cannot have one key: [`NAMED`] among the pairs shows that more than pairs follows.
fn write_key(frames: &[Frame], key: &mut Vec<u64>) {
    key.clear();
    key.resize(2 * frames.len(), 0);
    let (pairs, _none) = key.as_chunks_mut();
    let mut all_bits = 0;
    // Done for each frame of each sample: writing both, alike or not, is cheaper than looking for runs of one space.
    for ([at, relative_to], frame) in pairs.iter_mut().zip(frames) {
        let (pc, kind) = match (&frame.code, frame.kind) {
            (Code::Interpreted(_, line), _) => (u64::from(*line), 0),
            (_, AddressKind::Exact) => (frame.pc.0, 0),
            (_, AddressKind::Return) => (frame.pc.0, RETURN),
        };
        let bits = if frame.lines.is_some() { kind | NAMED } else { kind };
        all_bits |= bits;
        *at = pc;
        *relative_to = (space(&frame.code) | bits) as u64;
    }
    if all_bits & NAMED != 0 {
        key.extend(
            frames.iter().filter(|frame| frame.lines.is_some()).map(|frame| lines_address(frame) as u64),
        );
        key.push(frames.len() as u64);
    }
}

fn code_of(name: &str, pc: Pc, dictionary: &mut Dictionary) -> FrameLocation {
    FrameLocation { address: pc.0, lines: dictionary.named(name), ..FrameLocation::default() }
}
