//! Walks: steps up a stack of which a copy is at hand.
//!
//! `ebpf/step.bpf.h` takes the same steps in the kernel, on the stack itself: a change of one is a change of both, and
//! `crates/receiver-ebpf/tests/host/step.rs` compares them.

use crate::{Cfa, Machine, ReturnAddress, Rule, SavedFp};

/// Registers of user code, by DWARF's numbers; machines with fewer leave the rest unused.
pub const REGISTERS: usize = 32;

/// The frame pointer of a caller whose own is lost: no frame's, since it is odd and below every stack, and no root's. A
/// stack that needs it ends there.
const LOST_FRAME_POINTER: u64 = 1;

/// A piece of a stack, as it was at one instant.
#[derive(Clone, Copy, Debug)]
pub struct StackCopy<'a> {
    start: u64,
    bytes: &'a [u8],
}

impl<'a> StackCopy<'a> {
    /// The bytes that lay from address `start` on.
    #[must_use]
    pub fn new(start: u64, bytes: &'a [u8]) -> Self {
        Self { start, bytes }
    }

    /// The word at an address; `None` if it is not in the copy as a whole.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let (word, _) = self.bytes.get(at..)?.split_first_chunk()?;
        Some(u64::from_le_bytes(*word))
    }

    /// Words in a row from an address on.
    fn words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let mut words = [0; N];
        for (word, at) in words.iter_mut().zip(0_u64..) {
            *word = self.word(address.wrapping_add(at * 8))?;
        }
        Some(words)
    }
}

/// The reason why a stack has no more frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// The frame is the outermost one of a thread.
    Root,
    /// No table covers the frame, and its frame pointer leads nowhere.
    NoUnwindInfo,
    /// The rule asks for a step that a walk cannot take.
    Unsupported,
    /// The caller's frame would not lie above this one.
    BadFrame,
    /// The memory that the rule leads to is not in the copy.
    Unreadable,
}

/// A walk up a stack, which has arrived at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The machine whose registers the walk follows.
    pub machine: Machine,
    /// The frame's address: of an instruction if it was interrupted, else of the one that the callee returns to.
    pub pc: u64,
    /// The frame's stack pointer.
    pub sp: u64,
    /// The frame's frame pointer.
    pub fp: u64,
    /// All registers; their values are right for an interrupted frame.
    pub registers: [u64; REGISTERS],
    /// True if the frame is a leaf, or was interrupted by a signal.
    pub interrupted: bool,
    /// True if the register that [`Rule::kept`] follows is right in `registers` although the frame is a caller's.
    pub kept_known: bool,
    /// True if the frame was found by a frame pointer, in place of a rule.
    pub guessed: bool,
}

impl Walk {
    /// The address whose rule leads to the caller. The address of a call may be the last of a function.
    #[must_use]
    pub fn look(&self) -> u64 {
        if self.interrupted { self.pc } else { self.pc.wrapping_sub(1) }
    }

    /// Goes to the caller by the rule of [`look`](Self::look).
    ///
    /// # Errors
    /// [`WalkEnd`] if the frame has no caller, or none that can be found. The walk must not be used after that.
    pub fn step(&mut self, rule: &Rule, stack: &StackCopy<'_>) -> Result<(), WalkEnd> {
        match rule.cfa {
            Cfa::Gap => return self.step_by_frame_pointer(stack),
            Cfa::OtherStack => return self.step_by_frame_pointer_from(0, stack),
            Cfa::Root => return Err(WalkEnd::Root),
            Cfa::Signal => return self.return_from_signal(stack),
            _ => {}
        }
        let cfa = self.cfa(rule, stack).ok_or(WalkEnd::Unsupported)?;
        // A function of aarch64 that has stored nothing has its caller's stack pointer.
        if cfa < self.sp || (cfa == self.sp && !self.interrupted) {
            return Err(WalkEnd::BadFrame);
        }
        let return_address = self.return_address(rule, cfa, stack)?;
        let at = |base: u64| stack.word(base.wrapping_add_signed(rule.fp_offset.into()));
        let fp = match rule.fp {
            SavedFp::Same => self.fp,
            SavedFp::AtCfa => at(cfa).ok_or(WalkEnd::Unreadable)?,
            SavedFp::AtFp => at(self.fp).ok_or(WalkEnd::Unreadable)?,
            SavedFp::Lost => LOST_FRAME_POINTER,
        };
        if return_address == 0 {
            return Err(WalkEnd::Root);
        }
        self.follow_kept(rule, cfa, stack);
        self.guessed = false;
        self.go_on(cfa, fp, return_address);
        Ok(())
    }

    /// Goes to the caller by the frame pointer, which is right only if each function keeps it.
    ///
    /// # Errors
    /// Errors of [`step`](Self::step).
    pub fn step_by_frame_pointer(&mut self, stack: &StackCopy<'_>) -> Result<(), WalkEnd> {
        self.step_by_frame_pointer_from(self.sp, stack)
    }

    /// Goes to the caller by a frame pointer that does not lie below `least`.
    fn step_by_frame_pointer_from(&mut self, least: u64, stack: &StackCopy<'_>) -> Result<(), WalkEnd> {
        (self.guessed, self.kept_known) = (true, false);
        if self.fp == 0 {
            return Err(WalkEnd::Root);
        }
        if self.fp < least || !self.fp.is_multiple_of(8) {
            return Err(WalkEnd::NoUnwindInfo);
        }
        let [fp, return_address] = stack.words(self.fp).ok_or(WalkEnd::Unreadable)?;
        if return_address == 0 {
            return Err(WalkEnd::Root);
        }
        self.go_on(self.fp.wrapping_add(16), fp, return_address);
        Ok(())
    }

    fn go_on(&mut self, sp: u64, fp: u64, pc: u64) {
        (self.sp, self.fp, self.interrupted) = (sp, fp, false);
        self.pc = match self.machine {
            Machine::X86_64 => pc,
            // Signed return addresses have their signature above the address.
            Machine::Aarch64 => pc & ((1 << 48) - 1),
        };
    }

    fn register(&self, number: u8) -> u64 {
        self.registers.get(usize::from(number) & (REGISTERS - 1)).copied().unwrap_or_default()
    }

    /// The CFA of the frame; `None` if the rule's input is not known.
    fn cfa(&self, rule: &Rule, stack: &StackCopy<'_>) -> Option<u64> {
        let offset = i64::from(rule.cfa_offset);
        let behind = |base: u64| {
            let word = stack.word(base.wrapping_add_signed(offset))?;
            Some(word.wrapping_add_signed(rule.add.into()))
        };
        match rule.cfa {
            Cfa::Sp => Some(self.sp.wrapping_add_signed(offset)),
            Cfa::Fp => Some(self.fp.wrapping_add_signed(offset)),
            Cfa::Plt => {
                let pushed = i64::try_from(self.look() & 15).is_ok_and(|into| into >= offset);
                Some(self.sp.wrapping_add(if pushed { 16 } else { 8 }))
            }
            Cfa::AtSp => behind(self.sp),
            Cfa::AtFp => behind(self.fp),
            Cfa::Register => {
                let kept = self.kept_known && kept_register(self.machine) == Some(rule.register);
                let known = self.interrupted || kept;
                known.then(|| self.register(rule.register).wrapping_add_signed(offset))
            }
            Cfa::Gap | Cfa::OtherStack | Cfa::Unsupported | Cfa::Root | Cfa::Signal => None,
        }
    }

    fn return_address(&self, rule: &Rule, cfa: u64, stack: &StackCopy<'_>) -> Result<u64, WalkEnd> {
        let at_cfa = || {
            let at = cfa.wrapping_add_signed(rule.ra_offset.into());
            stack.word(at).ok_or(WalkEnd::Unreadable)
        };
        match rule.ra {
            ReturnAddress::AtCfa => at_cfa(),
            ReturnAddress::AtCfaUnlessChild if self.interrupted && self.register(0) == 0 => {
                Err(WalkEnd::Root)
            }
            ReturnAddress::AtCfaUnlessChild => at_cfa(),
            ReturnAddress::LinkRegister if self.interrupted && self.machine == Machine::Aarch64 => {
                Ok(self.register(LINK_REGISTER))
            }
            ReturnAddress::Register if self.interrupted => Ok(self.register(rule.register)),
            ReturnAddress::LinkRegister | ReturnAddress::Register => Err(WalkEnd::Unsupported),
        }
    }

    /// Follows rbx, by which the dynamic linker finds its frame in one place.
    fn follow_kept(&mut self, rule: &Rule, cfa: u64, stack: &StackCopy<'_>) {
        let Some(number) = kept_register(self.machine) else { return };
        if rule.kept > 0 {
            return;
        }
        let saved = if rule.kept < 0 { stack.word(cfa.wrapping_add_signed(rule.kept.into())) } else { None };
        self.kept_known = saved.is_some();
        if let (Some(saved), Some(register)) = (saved, self.registers.get_mut(usize::from(number))) {
            *register = saved;
        }
    }

    /// Goes to the frame that a signal interrupted: the kernel has put its registers on the handler's stack.
    fn return_from_signal(&mut self, stack: &StackCopy<'_>) -> Result<(), WalkEnd> {
        match self.machine {
            Machine::X86_64 => {
                let saved: [u64; 17] =
                    stack.words(self.sp.wrapping_add(X86_64_FRAME)).ok_or(WalkEnd::Unreadable)?;
                for (number, word) in X86_64_SAVED.into_iter().zip(saved) {
                    if let Some(register) = self.registers.get_mut(number) {
                        *register = word;
                    }
                }
                let [.., pc] = saved;
                (self.pc, self.sp, self.fp) = (pc, self.register(7), self.register(6));
            }
            Machine::Aarch64 => {
                let saved: [u64; 33] =
                    stack.words(self.sp.wrapping_add(AARCH64_FRAME)).ok_or(WalkEnd::Unreadable)?;
                let [registers @ .., sp, pc] = saved;
                for (register, word) in self.registers.iter_mut().zip(registers) {
                    *register = word;
                }
                (self.pc, self.sp, self.fp) = (pc, sp, self.register(29));
            }
        }
        (self.interrupted, self.kept_known) = (true, true);
        Ok(())
    }
}

const LINK_REGISTER: u8 = 30;

/// Bytes from the stack pointer that a handler returns to, to the saved registers: the first fields of `struct
/// rt_sigframe` and of the `struct ucontext` in it.
const X86_64_FRAME: u64 = 40;
const AARCH64_FRAME: u64 = 128 + 176 + 8;
/// The order in which `struct sigcontext` has the registers, by DWARF's numbers; rip, which has none here, follows.
const X86_64_SAVED: [usize; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7];

/// The register whose place [`Rule::kept`] holds.
fn kept_register(machine: Machine) -> Option<u8> {
    match machine {
        Machine::X86_64 => Some(3),
        Machine::Aarch64 => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample;

    use super::*;

    const START: u64 = 0x7000;

    fn walk() -> Walk {
        Walk {
            machine: Machine::X86_64,
            pc: 0x1000,
            sp: START,
            fp: START + 32,
            registers: std::array::from_fn(|number| 100 + number as u64),
            interrupted: true,
            kept_known: true,
            guessed: false,
        }
    }

    /// A stack of these words from [`START`] on.
    fn stack(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn step(walk: &mut Walk, rule: Rule, words: &[u64]) -> Result<(), WalkEnd> {
        walk.step(&rule, &StackCopy::new(START, &stack(words)))
    }

    #[test]
    fn a_caller_is_found_by_each_kind_of_frame() {
        let by_sp = Rule { cfa_offset: 16, ra_offset: -8, ..Rule::pushed(16) };
        let words = [1, 0x2000, 3, 4, 0x7050, 0x3000, 0x7100];
        for (rule, expected) in [
            (by_sp, (0x2000, START + 16, START + 32)),
            (Rule { cfa: Cfa::Fp, ..by_sp }, (0x3000, START + 48, START + 32)),
            (
                Rule { cfa: Cfa::Fp, fp: SavedFp::AtCfa, fp_offset: -16, ..by_sp },
                (0x3000, START + 48, 0x7050),
            ),
            (Rule { fp: SavedFp::AtFp, fp_offset: 16, ..by_sp }, (0x2000, START + 16, 0x7100)),
            (Rule { fp: SavedFp::Lost, ..by_sp }, (0x2000, START + 16, LOST_FRAME_POINTER)),
            // The word at sp + 32 less 32.
            (
                Rule { cfa: Cfa::AtSp, cfa_offset: 32, add: -32, ra_offset: -8, ..by_sp },
                (0x3000, 0x7030, START + 32),
            ),
        ] {
            let mut walk = walk();
            assert_eq!(step(&mut walk, rule, &words), Ok(()), "{rule:?}");
            assert_eq!((walk.pc, walk.sp, walk.fp), expected, "{rule:?}");
            assert!(!walk.interrupted && walk.look() == walk.pc - 1);
        }
    }

    #[test]
    fn registers_count_where_a_frame_was_interrupted_and_kept_ones_above_it() {
        let by_rbx = Rule { cfa: Cfa::Register, register: 3, cfa_offset: 0, ..Rule::pushed(0) };
        let words = [0, 0x2000, 0x7038, 0x3000, 5, 6, 0x4000];
        let mut walk = walk();
        walk.registers[3] = START + 16;
        assert_eq!(step(&mut walk, by_rbx, &words), Ok(()));
        assert_eq!((walk.pc, walk.kept_known), (0x2000, false));
        assert_eq!(step(&mut walk, by_rbx, &words), Err(WalkEnd::Unsupported), "not known any more");

        let mut walk = self::walk();
        assert_eq!(step(&mut walk, Rule { kept: -16, ..Rule::pushed(32) }, &words), Ok(()));
        assert_eq!((walk.pc, walk.registers[3], walk.kept_known), (0x3000, 0x7038, true));
        assert_eq!(step(&mut walk, Rule { ra_offset: -8, ..by_rbx }, &words), Ok(()), "saved by the callee");
        assert_eq!((walk.pc, walk.sp), (0x4000, 0x7038));

        let mut child = self::walk();
        child.registers[0] = 0;
        let rule = Rule { ra: ReturnAddress::AtCfaUnlessChild, ..Rule::pushed(16) };
        assert_eq!(step(&mut child, rule, &words), Err(WalkEnd::Root));
    }

    #[test]
    fn a_signal_gives_all_registers_back() {
        let mut words = [0; 40];
        for (at, number) in X86_64_SAVED.into_iter().enumerate() {
            words[5 + at] = 1000 + number as u64;
        }
        words[5 + 16] = 0x5000;
        let mut walk = walk();
        walk.interrupted = false;
        assert_eq!(step(&mut walk, Rule::SIGNAL, &words), Ok(()));
        assert_eq!((walk.pc, walk.sp, walk.fp, walk.registers[3]), (0x5000, 1007, 1006, 1003));
        assert!(walk.interrupted && walk.look() == 0x5000);
    }

    #[test]
    fn frame_pointers_lead_up_to_a_zero() {
        let words = [0, 0, 0, 0, START + 48, 0x2000, 0, 0x3000];
        let mut walk = walk();
        assert_eq!(step(&mut walk, Rule::GAP, &words), Ok(()));
        assert_eq!((walk.pc, walk.fp, walk.guessed), (0x2000, START + 48, true));
        assert_eq!(step(&mut walk, Rule::GAP, &words), Ok(()));
        assert_eq!(step(&mut walk, Rule::GAP, &words), Err(WalkEnd::Root));
        walk.fp = walk.sp - 8;
        assert_eq!(step(&mut walk, Rule::GAP, &words), Err(WalkEnd::NoUnwindInfo));
        walk.fp = walk.sp + 8;
        assert_eq!(step(&mut walk, Rule::GAP, &words), Err(WalkEnd::Unreadable), "behind the copy");
        (walk.sp, walk.fp) = (START + 64, START + 32);
        assert_eq!(step(&mut walk, Rule::GAP, &words), Err(WalkEnd::NoUnwindInfo));
        assert_eq!(step(&mut walk, Rule::OTHER_STACK, &words), Ok(()));
        assert_eq!((walk.pc, walk.sp, walk.fp), (0x2000, START + 48, START + 48));
    }

    fn rules() -> impl Strategy<Value = Rule> {
        let cfas = [
            Cfa::Gap,
            Cfa::OtherStack,
            Cfa::Signal,
            Cfa::Sp,
            Cfa::Fp,
            Cfa::Register,
            Cfa::Plt,
            Cfa::AtSp,
            Cfa::AtFp,
        ];
        let fps = [SavedFp::Same, SavedFp::AtCfa, SavedFp::AtFp, SavedFp::Lost];
        let ras = [
            ReturnAddress::AtCfa,
            ReturnAddress::LinkRegister,
            ReturnAddress::Register,
            ReturnAddress::AtCfaUnlessChild,
        ];
        (sample::select(cfas.to_vec()), sample::select(fps.to_vec()), sample::select(ras.to_vec()))
            .prop_flat_map(|(cfa, fp, ra)| {
                (any::<u8>(), -64_i32..256, any::<[i16; 4]>()).prop_map(
                    move |(register, cfa_offset, more)| {
                        let [fp_offset, ra_offset, add, kept] = more;
                        Rule { cfa, fp, ra, register, cfa_offset, fp_offset, ra_offset, add, kept }
                    },
                )
            })
    }

    proptest! {
        /// No rules and no stack, on either machine, make a walk panic; by rules alone, signals aside, a walk never
        /// goes down.
        #[test]
        fn any_rules_and_bytes_lead_up_or_end(
            rules in proptest::collection::vec(rules(), 1..40),
            bytes in proptest::collection::vec(any::<u8>(), 0..512),
            aarch64 in any::<bool>(),
            near in any::<bool>(),
        ) {
            let machine = if aarch64 { Machine::Aarch64 } else { Machine::X86_64 };
            let mut walk = Walk { machine, fp: if near { START + 64 } else { u64::MAX - 7 }, ..walk() };
            if !near {
                walk.sp = u64::MAX - 100;
            }
            for rule in rules {
                let before = walk.sp;
                if walk.step(&rule, &StackCopy::new(START, &bytes)).is_err() {
                    break;
                }
                prop_assert!(rule.cfa == Cfa::Signal || walk.sp >= before || walk.guessed);
            }
        }
    }
}
