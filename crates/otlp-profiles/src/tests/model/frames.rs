//! Stacks to indices of the dictionary.

use std::sync::Arc;

use pdata::{Code, Frame, Lines, Pc, Sample};
use rustc_hash::FxHashMap;

use super::dictionary::{Dictionary, FrameLocation};
use super::mappings::EncodedMapping;
use super::settle::settle;
use crate::attributes;

/// Function that stands for kernel code.
const KERNEL: &str = "[kernel]";
/// Function that stands for user code of which nothing is known, and for a stack without frames.
const UNKNOWN: &str = "[unknown]";

/// Interns stacks.
///
/// A frame is encoded with the address to look up: see [`Frame::lookup_pc`].
#[derive(Debug, Default)]
pub(in crate::tests) struct Frames {
    ranges: FxHashMap<usize, EncodedMapping>,
    /// A buffer that is kept between calls for its memory.
    stack: Vec<i32>,
}

impl Frames {
    /// Index of a sample's stack.
    ///
    /// A sample without frames has one, `[kernel]` or `[unknown]`: readers drop a sample with an empty stack.
    pub(in crate::tests) fn stack(&mut self, sample: &Sample, dictionary: &mut Dictionary) -> i32 {
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        stack.extend(sample.stack.frames.iter().map(|frame| self.location(frame, dictionary)));
        if stack.is_empty() {
            stack.push(nowhere(sample.running.is_kernel(), dictionary));
        }
        let index = dictionary.stack(&stack);
        self.stack = stack;
        index
    }

    /// Encodes anew the files that had not been read when they were met, and have been since. Returns the new number of
    /// each stack; `None` if nothing changes.
    pub(in crate::tests) fn settle(&self, dictionary: &mut Dictionary) -> Option<Vec<i32>> {
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
        let pc = frame.lookup_pc();
        let mut place = match &frame.code {
            Code::Kernel => code_of(KERNEL, pc, dictionary),
            Code::Unknown => code_of(UNKNOWN, pc, dictionary),
            Code::Interpreted(function, line) => FrameLocation {
                lines: vec![(dictionary.function(function), (*line).into())],
                ..FrameLocation::default()
            },
            Code::Mapped(mapping) => {
                let range = self.ranges.entry(Arc::as_ptr(mapping).addr());
                range.or_insert_with(|| EncodedMapping::new(mapping, dictionary)).place(pc, dictionary)
            }
        };
        if let Some(Lines(lines)) = frame.lines.as_deref() {
            place.lines =
                lines.iter().map(|line| (dictionary.function(&line.function), line.line.into())).collect();
        }
        place.frame_type = dictionary.text_attribute(attributes::FRAME_TYPE, attributes::frame_type(frame));
        dictionary.location(place)
    }
}

fn code_of(name: &str, pc: Pc, dictionary: &mut Dictionary) -> FrameLocation {
    FrameLocation { address: pc.0, lines: dictionary.named(name), ..FrameLocation::default() }
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
