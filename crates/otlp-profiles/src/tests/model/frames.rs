//! Stacks to indices of the dictionary.

use std::sync::Arc;

use pdata::{Frame, Pc, Sample};
use rustc_hash::FxHashMap;

use super::dictionary::{Dictionary, Place};
use super::mappings::Range;
use super::settle::settle;
use crate::attributes;

/// Function that stands for kernel code.
const KERNEL: &str = "[kernel]";
/// Function that stands for user code of which nothing is known, and for a stack without frames.
const UNKNOWN: &str = "[unknown]";

/// Interns stacks, with a look-up by pointer and address before the one by content.
///
/// OTLP leaves room to say where in a call instruction a caller's address lies; as the reference
/// profiler does, and as symbolizers expect, the byte before the return address is told: it is part
/// of the call even if the call is the function's last instruction. The leaf's address is told as it
/// is, and so is that of the user frame a kernel stack stands on: both were read from registers.
#[derive(Debug, Default)]
pub(in crate::tests) struct Frames {
    ranges: FxHashMap<usize, Range>,
    /// By space and address.
    locations: FxHashMap<(usize, Pc), i32>,
    /// Kept between calls for its memory.
    stack: Vec<i32>,
}

/// Key of the kernel's addresses among [`Frames::locations`]; no pointer has this value.
const KERNEL_SPACE: usize = 0;
/// Key of addresses without a mapping; no pointer to a mapping has this value.
const NO_MAPPING: usize = 1;

impl Frames {
    /// Index of a sample's stack.
    ///
    /// A sample without frames has one, `[kernel]` or `[unknown]`: readers drop what has none.
    pub(in crate::tests) fn stack(&mut self, sample: &Sample, dictionary: &mut Dictionary) -> i32 {
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        let mut from_registers = true;
        for frame in &sample.stack.0 {
            let kernel = matches!(frame, Frame::Kernel(_));
            // Passing from kernel to user code is no call.
            stack.push(self.location(frame, from_registers && !kernel || stack.is_empty(), dictionary));
            from_registers = kernel;
        }
        if stack.is_empty() {
            stack.push(nowhere(sample.kernel_thread, dictionary));
        }
        let index = dictionary.stack(&stack);
        self.stack = stack;
        index
    }

    /// Tells what was met too early by what is known now. Returns the new number of each stack; `None`
    /// if nothing changes.
    pub(in crate::tests) fn settle(&self, dictionary: &mut Dictionary) -> Option<Vec<i32>> {
        let mut unread = FxHashMap::default();
        for (file, mappings) in self.ranges.values().filter_map(Range::unread) {
            for mapping in mappings {
                // One path can be two files with one mapping: that which is known is told.
                let known = unread.entry(mapping).or_insert(file);
                if known.facts.get().is_none() {
                    *known = file;
                }
            }
        }
        settle(&unread, dictionary)
    }

    fn location(&mut self, frame: &Frame, exact: bool, dictionary: &mut Dictionary) -> i32 {
        let pc = if exact { frame.pc() } else { in_call(frame) };
        let space = match frame {
            Frame::Kernel(_) => KERNEL_SPACE,
            Frame::User(_) => NO_MAPPING,
            Frame::Mapped(_, mapping) => Arc::as_ptr(mapping).addr(),
        };
        if let Some(&location) = self.locations.get(&(space, pc)) {
            return location;
        }
        let mut place = match frame {
            Frame::Kernel(_) => code_of(KERNEL, pc, dictionary),
            Frame::User(_) => code_of(UNKNOWN, pc, dictionary),
            Frame::Mapped(_, mapping) => {
                let range = self.ranges.entry(space).or_insert_with(|| Range::new(mapping, dictionary));
                range.place(pc, dictionary)
            }
        };
        place.frame_type = frame_type(matches!(frame, Frame::Kernel(_)), dictionary);
        let location = dictionary.location(place);
        self.locations.insert((space, pc), location);
        location
    }
}

/// An address inside the call that a return address follows.
fn in_call(frame: &Frame) -> Pc {
    let before = Pc(frame.pc().0.saturating_sub(1));
    match frame {
        // The first byte of a mapping follows no call in it.
        Frame::Mapped(pc, mapping) if before < mapping.start => *pc,
        _ => before,
    }
}

fn code_of(name: &str, pc: Pc, dictionary: &mut Dictionary) -> Place {
    Place { address: pc.0, function: dictionary.function(name), ..Place::default() }
}

fn nowhere(kernel: bool, dictionary: &mut Dictionary) -> i32 {
    let mut place = code_of(if kernel { KERNEL } else { UNKNOWN }, Pc(0), dictionary);
    place.frame_type = frame_type(kernel, dictionary);
    dictionary.location(place)
}

fn frame_type(kernel: bool, dictionary: &mut Dictionary) -> i32 {
    let name = if kernel { attributes::FRAME_TYPE_KERNEL } else { attributes::FRAME_TYPE_NATIVE };
    dictionary.text_attribute(attributes::FRAME_TYPE, name)
}
