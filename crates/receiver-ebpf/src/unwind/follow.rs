//! Stacks that a walk of the kernel could not follow to their end, followed by the same rules from a copy.
//!
//! Pages of rows that a stack needs are built first (`next.rs`), so that the next walk in the kernel finds them.

use std::time::{Duration, Instant};

use pdata::Pc;
use unwind::{Machine, Rule, StackCopy, Walk, WalkEnd};

use super::files::MetFile;
use crate::abi::{self, RawStackBody, SampleMapping};
use crate::decode::{RawFrame, RawStack};
use crate::stack_budget::{CountedBytes, Holder};

#[cfg(target_arch = "x86_64")]
const MACHINE: Machine = Machine::X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: Machine = Machine::Aarch64;

/// The longest time for which a sample waits for the rest of its stack.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The number of a request, which distinguishes its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// The rest of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    /// Frames that follow those of the sample.
    pub(crate) frames: Box<[RawFrame]>,
    /// The end of the stack, a `stack_end`.
    pub(crate) end: u16,
}

/// A stack to be followed.
#[derive(Debug)]
pub(crate) struct Follow {
    pub(crate) ticket: Ticket,
    pub(crate) stack: Box<RawStack>,
    /// The executable mappings of the process, as the sample has them.
    pub(crate) code: Vec<(SampleMapping, Option<MetFile>)>,
    /// The most frames that may be added.
    pub(crate) room: usize,
    pub(crate) since: Instant,
}

/// The way in which the caller of a frame is found.
pub(super) enum Next {
    Rule(Rule),
    FramePointer,
    /// The rule is not there yet: the frame pointer stands in for it.
    Pending,
}

impl Follow {
    /// The user and file whose turn the stack takes.
    pub(super) fn holder(&self) -> Holder {
        self.stack.counted.as_ref().map_or_else(Holder::default, CountedBytes::holder)
    }

    fn mapping_at(&self, address: u64) -> Option<usize> {
        self.code.iter().position(|(mapping, _)| (mapping.start..mapping.end).contains(&address))
    }

    fn walk(&self) -> Walk {
        let RawStackBody { pc, sp, fp, flags, registers, .. } = self.stack.body;
        let is = |flag| flags & flag != 0;
        Walk {
            machine: MACHINE,
            pc,
            sp,
            fp,
            registers,
            interrupted: is(abi::RAW_INTERRUPTED),
            kept_known: is(abi::RAW_KEPT_KNOWN),
            guessed: is(abi::RAW_GUESSED),
        }
    }

    /// Follows the stack; `next` finds the way to the caller of a frame in one of the mappings.
    pub(super) fn frames(
        &self,
        mut next: impl FnMut(&SampleMapping, Option<&MetFile>, u64) -> Next,
    ) -> Followed {
        let copy = StackCopy::new(self.stack.body.start, &self.stack.bytes);
        let (mut walk, mut frames, mut pending) = (self.walk(), Vec::new(), false);
        let mut at = self.mapping_at(walk.look());
        let end = loop {
            let Some((mapping, met)) = at.and_then(|at| self.code.get(at)) else {
                break self.end_outside(&walk);
            };
            let step = match next(mapping, met.as_ref(), walk.look()) {
                Next::Rule(rule) => walk.step(&rule, &copy),
                Next::FramePointer => walk.step_by_frame_pointer(&copy),
                Next::Pending => {
                    pending = true;
                    walk.step_by_frame_pointer(&copy)
                }
            };
            if let Err(end) = step {
                break self.end(end, &walk);
            }
            if frames.len() >= self.room {
                break abi::END_DEPTH_LIMIT;
            }
            at = self.mapping_at(walk.look());
            if at.is_some() {
                let pc = Pc(walk.pc & ((1 << abi::FRAME_ADDRESS_BITS) - 1));
                frames.push(RawFrame { pc, mapping: at, interrupted: walk.interrupted });
            }
        };
        Followed { frames: frames.into(), end: if pending { abi::END_PAGE_PENDING } else { end } }
    }

    fn end(&self, end: WalkEnd, walk: &Walk) -> u16 {
        match end {
            WalkEnd::Root => abi::END_ROOT,
            WalkEnd::NoUnwindInfo => abi::END_NO_UNWIND_INFO,
            WalkEnd::Unsupported => abi::END_UNSUPPORTED,
            WalkEnd::BadFrame => abi::END_BAD_FRAME,
            // The copy may end before the stack does: then the missing rows have cut it short.
            WalkEnd::Unreadable if self.is_cut() || self.is_elsewhere(walk) => abi::END_PAGE_PENDING,
            WalkEnd::Unreadable => abi::END_UNREADABLE,
        }
    }

    /// The end at an address that is in no mapping that the sample names.
    fn end_outside(&self, walk: &Walk) -> u16 {
        let is_cut = self.stack.body.flags & abi::RAW_LIST_CUT != 0;
        if is_cut || self.code.len() >= abi::LISTED_MAPPINGS as usize {
            abi::END_MAPPING_LIMIT
        } else if walk.guessed {
            abi::END_NO_UNWIND_INFO
        } else {
            abi::END_NOT_MAPPED
        }
    }

    /// True if the walk has come to another stack than the copied one, or its frame pointer leads to one: a signal
    /// handler's may be one of its own, and Go calls C on a stack above its own.
    fn is_elsewhere(&self, walk: &Walk) -> bool {
        let RawStackBody { start, bytes, .. } = self.stack.body;
        let is_led_away = walk.guessed && walk.fp < start;
        walk.sp < start || walk.sp > start.saturating_add(bytes.into()) || is_led_away
    }

    /// True if there was more of the stack than the copy holds.
    fn is_cut(&self) -> bool {
        /// Bytes of a piece; of the pieces that were copied the first one may be short.
        const PIECE: u32 = 4096;
        self.stack.body.bytes > abi::RAW_STACK_BYTES - PIECE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: u64 = 0x40_0000;
    const STACK: u64 = 0x7000;

    /// A walk in the first of some mappings, on a stack of these words.
    fn follow(words: &[u64], mappings: u64, room: usize) -> Follow {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let body = RawStackBody {
            pc: CODE + 8,
            sp: STACK,
            fp: STACK + 16,
            start: STACK,
            bytes: u32::try_from(bytes.len()).unwrap(),
            flags: abi::RAW_INTERRUPTED,
            registers: [0; unwind::REGISTERS],
        };
        let mapping = |at| {
            let start = CODE + at * 0x1000;
            (SampleMapping { start, end: start + 0x1000, file_offset: 0, file: 16 + at }, None)
        };
        let stack = Box::new(RawStack { body, bytes: bytes.into(), counted: None });
        let (ticket, since) = (Ticket(1), Instant::now());
        Follow { ticket, stack, code: (0..mappings).map(mapping).collect(), room, since }
    }

    /// The way to the caller on a stack whose frames take two words each, the second of which is the return address.
    fn by_two(_: &SampleMapping, _: Option<&MetFile>, _: u64) -> Next {
        let rule = Rule { cfa: unwind::Cfa::Sp, cfa_offset: 16, ra_offset: -8, ..Rule::GAP };
        Next::Rule(rule)
    }

    fn pcs(followed: &Followed) -> Vec<(u64, Option<usize>)> {
        followed.frames.iter().map(|frame| (frame.pc.0, frame.mapping)).collect()
    }

    #[test]
    fn frames_go_on_from_where_the_walk_stopped_to_the_root() {
        // A call that never returns is the last instruction of its mapping.
        let words = [0, CODE + 0x1000, 0, CODE + 0x1010, 0, 0];
        let followed = follow(&words, 2, 9).frames(by_two);
        assert_eq!(pcs(&followed), [(CODE + 0x1000, Some(0)), (CODE + 0x1010, Some(1))]);
        assert_eq!(followed.end, abi::END_ROOT);
        assert!(followed.frames.iter().all(|frame| !frame.interrupted));
        let followed = follow(&words, 2, 1).frames(by_two);
        assert_eq!((pcs(&followed).len(), followed.end), (1, abi::END_DEPTH_LIMIT));
    }

    #[test]
    fn what_is_missing_says_what_it_is() {
        let outside = [0, CODE + 0x5000];
        assert_eq!(follow(&outside, 2, 9).frames(by_two).end, abi::END_NOT_MAPPED);
        let known = u64::from(abi::LISTED_MAPPINGS);
        let beyond = [0, CODE + (known + 1) * 0x1000];
        assert_eq!(follow(&beyond, known, 9).frames(by_two).end, abi::END_MAPPING_LIMIT);
        let mut cut = follow(&outside, 2, 9);
        cut.stack.body.flags |= abi::RAW_LIST_CUT;
        assert_eq!(cut.frames(by_two).end, abi::END_MAPPING_LIMIT, "it may be in one that was not listed");
        let short = [0, CODE + 0x20];
        assert_eq!(follow(&short, 1, 9).frames(by_two).end, abi::END_UNREADABLE, "the stack's own end");
        let mut deep = follow(&short, 1, 9);
        deep.stack.body.bytes = abi::RAW_STACK_BYTES;
        assert_eq!(deep.frames(by_two).end, abi::END_PAGE_PENDING, "there was more of it");
        let signal = |_: &SampleMapping, _: Option<&MetFile>, look: u64| {
            Next::Rule(if look == CODE + 8 {
                Rule::SIGNAL
            } else {
                Rule { cfa_offset: 16, cfa: unwind::Cfa::Sp, ra_offset: -8, ..Rule::GAP }
            })
        };
        // Behind the registers that the kernel has saved is a stack pointer far away.
        let mut saved = [CODE + 0x40; 40];
        saved[20] = 0x100_0000;
        let interrupted = follow(&saved, 1, 9).frames(signal);
        assert_eq!(pcs(&interrupted).len(), 1);
        assert_eq!(interrupted.end, abi::END_PAGE_PENDING, "on another stack, of which there is no copy");
        let mut elsewhere = follow(&short, 1, 9);
        elsewhere.stack.body.fp = STACK - 0x1000;
        let switched = elsewhere.frames(|_, _, _| Next::Rule(Rule::OTHER_STACK));
        assert_eq!(
            (pcs(&switched).len(), switched.end),
            (0, abi::END_PAGE_PENDING),
            "below the copied stack"
        );
        // Frames without a rule are followed by frame pointer, and the stack is not taken for whole.
        let chain = [0, 0, 0, CODE + 0x30];
        let followed = follow(&chain, 1, 9).frames(|_, _, _| Next::Pending);
        assert_eq!((pcs(&followed), followed.end), (vec![(CODE + 0x30, Some(0))], abi::END_PAGE_PENDING));
    }
}
