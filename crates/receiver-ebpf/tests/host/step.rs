//! The step of a walk in the kernel (`ebpf/step.bpf.h`) against that in user space (`unwind::Walk`).

use std::sync::OnceLock;

use proptest::prelude::*;
use unwind::{Cfa, Machine, REGISTERS, ReturnAddress, Rule, SavedFp, StackCopy, Walk, WalkEnd};
use zerocopy::IntoBytes as _;

use crate::program::Program;

#[cfg(target_arch = "x86_64")]
const MACHINE: Machine = Machine::X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: Machine = Machine::Aarch64;

/// The first address of the stack.
const START: u64 = 0x7fff_0000;
/// The most words of the stack: more than a signal frame has.
const MOST_WORDS: usize = 96;
/// The steps that one run of the program takes.
const STEPS: usize = 200;
/// Words of a state: pc, sp, fp, registers and three flags.
const STATE_WORDS: usize = 3 + REGISTERS + 3;

/// A walk at a frame, the rule that leads on, and the stack.
#[derive(Debug, Clone)]
struct Case {
    walk: Walk,
    rule: Rule,
    stack: Vec<u8>,
}

/// The outcome of a step.
type Outcome = Result<Vec<u64>, u64>;

fn state(walk: &Walk) -> Vec<u64> {
    let flags = [walk.interrupted, walk.kept_known, walk.guessed].map(u64::from);
    [walk.pc, walk.sp, walk.fp].into_iter().chain(walk.registers).chain(flags).collect()
}

impl Case {
    /// The case as the program reads it.
    fn bytes(&self) -> Vec<u8> {
        let words = state(&self.walk).into_iter().chain([START, self.stack.len() as u64]);
        let words = words.flat_map(u64::to_ne_bytes);
        self.rule.as_bytes().iter().copied().chain(words).chain(self.stack.iter().copied()).collect()
    }

    fn in_user_space(&self) -> Outcome {
        let mut walk = self.walk;
        match walk.step(&self.rule, &StackCopy::new(START, &self.stack)) {
            Ok(()) => Ok(state(&walk)),
            Err(end) => Err(number(end)),
        }
    }
}

/// The number of an end among those of `enum stack_end`.
fn number(end: WalkEnd) -> u64 {
    match end {
        WalkEnd::Root => 1,
        WalkEnd::NoUnwindInfo => 5,
        WalkEnd::Unsupported => 6,
        WalkEnd::BadFrame => 7,
        WalkEnd::Unreadable => 9,
    }
}

/// The outcomes that the program has written.
fn in_the_kernel(cases: &[Case]) -> Vec<Outcome> {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    let input: Vec<u8> = cases.iter().flat_map(Case::bytes).collect();
    let output = PROGRAM.get_or_init(|| Program::build("step")).run(&input);
    let words: Vec<u64> =
        output.as_chunks().0.iter().map(|word: &[u8; 8]| u64::from_ne_bytes(*word)).collect();
    let outcomes = words.chunks(2 + STATE_WORDS).map(|answer| match answer {
        [0, _, state @ ..] => Ok(state.to_vec()),
        [_, end, ..] => Err(*end),
        _ => Err(u64::MAX),
    });
    outcomes.collect()
}

fn rules() -> impl Strategy<Value = Rule> {
    use {Cfa as C, ReturnAddress as R, SavedFp as F};
    let cfas = [
        C::Gap,
        C::OtherStack,
        C::Unsupported,
        C::Root,
        C::Signal,
        C::Sp,
        C::Fp,
        C::Register,
        C::Plt,
        C::AtSp,
        C::AtFp,
    ];
    let fps = [F::Same, F::AtCfa, F::AtFp, F::Lost];
    let ras = [R::AtCfa, R::LinkRegister, R::Register, R::AtCfaUnlessChild];
    let near = || prop_oneof![8 => (-16_i16..48).prop_map(|words| words * 8), 1 => any::<i16>()];
    let kinds = (
        prop::sample::select(cfas.to_vec()),
        prop::sample::select(fps.to_vec()),
        prop::sample::select(ras.to_vec()),
    );
    let kept = prop_oneof![Just(0_i16), Just(1), (-16_i16..0).prop_map(|words| words * 8)];
    let far = prop_oneof![8 => near().prop_map(i32::from), 1 => any::<i32>()];
    let offsets = (far, near(), prop_oneof![4 => Just(-8_i16), 1 => near()], near(), kept);
    (kinds, any::<u8>(), offsets).prop_map(
        |((cfa, fp, ra), register, (cfa_offset, fp_offset, ra_offset, add, kept))| {
            // Of a linkage table the offset is one into an entry.
            let cfa_offset = if cfa == Cfa::Plt { cfa_offset.rem_euclid(16) } else { cfa_offset };
            // What most functions do is a path of its own: both words next to each other.
            let fp_offset = if fp_offset % 16 == 0 { ra_offset.wrapping_sub(8) } else { fp_offset };
            Rule { cfa, fp, ra, register, cfa_offset, fp_offset, ra_offset, add, kept }
        },
    )
}

/// An address of the stack, nearly always.
fn pointers() -> impl Strategy<Value = u64> {
    let inside = (0..MOST_WORDS as u64).prop_map(|word| START + word * 8);
    prop_oneof![16 => inside, 1 => START..START + 64, 1 => any::<u64>(), 1 => Just(0)]
}

fn cases() -> impl Strategy<Value = Case> {
    let words = prop::collection::vec(prop_oneof![3 => pointers(), 1 => any::<u64>()], 0..MOST_WORDS);
    // On the heap: an array's strategy overflows the stack of a test's thread.
    let registers = prop::collection::vec(pointers(), REGISTERS);
    let walks = (any::<u64>(), pointers(), pointers(), registers, any::<[bool; 3]>());
    let walks = walks.prop_map(|(pc, sp, fp, registers, [interrupted, kept_known, guessed])| Walk {
        machine: MACHINE,
        pc,
        sp,
        fp,
        registers: registers.try_into().expect("there are as many"),
        interrupted,
        kept_known,
        guessed,
    });
    (walks, rules(), words, 0..8_usize).prop_map(|(walk, rule, words, odd)| {
        let mut stack: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        stack.truncate(stack.len().saturating_sub(odd));
        Case { walk, rule, stack }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the rule, the registers and the stack: a step in the kernel leads where one in user space does, or ends
    /// for the same reason.
    #[test]
    fn a_step_leads_to_the_same_caller_in_the_kernel_and_in_user_space(
        cases in prop::collection::vec(cases(), STEPS)
    ) {
        let found = in_the_kernel(&cases);
        prop_assert_eq!(found.len(), cases.len());
        for (case, found) in cases.iter().zip(found) {
            prop_assert_eq!(found, case.in_user_space(), "{:x?}", case);
        }
    }
}
