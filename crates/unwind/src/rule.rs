//! Rules: one step from a frame to its caller each.

use zerocopy::{Immutable, IntoBytes};

/// The ways to find the canonical frame address: the stack pointer of the caller after the call returned.
///
/// The numbers are the contract with `ebpf/step.bpf.h`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, IntoBytes, Immutable)]
#[repr(u8)]
pub enum Cfa {
    /// No table covers the pc: only the frame pointer may help.
    #[default]
    Gap = 0,
    /// The table asks for a step that a walk cannot take: the stack ends here.
    Unsupported = 1,
    /// The outermost frame of a thread.
    Root = 2,
    /// A signal frame: all registers are in memory, at a place that the kernel's ABI fixes.
    Signal = 3,
    /// The CFA is the stack pointer + `cfa_offset`.
    Sp = 4,
    /// The CFA is the frame pointer + `cfa_offset`.
    Fp = 5,
    /// The CFA is register `register` + `cfa_offset`: known in an interrupted frame, and in those above it where `kept`
    /// says so.
    Register = 6,
    /// The CFA is the stack pointer + 8, and 8 more from byte `cfa_offset` of a 16-byte entry on: procedure linkage
    /// table of x86-64.
    Plt = 7,
    /// The CFA is the word at the stack pointer + `cfa_offset`, plus `add`.
    AtSp = 8,
    /// The CFA is the word at the frame pointer + `cfa_offset`, plus `add`.
    AtFp = 9,
    /// The caller is found by the frame pointer as where no table covers the pc, but on whatever stack that is: the
    /// function has changed to another.
    OtherStack = 10,
}

/// The places of the caller's frame pointer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, IntoBytes, Immutable)]
#[repr(u8)]
pub enum SavedFp {
    /// The caller's frame pointer is in its register, untouched.
    #[default]
    Same = 0,
    /// The caller's frame pointer is in memory at CFA + `fp_offset`.
    AtCfa = 1,
    /// The caller's frame pointer is in memory at the frame pointer + `fp_offset`.
    AtFp = 2,
    /// The caller's frame pointer is nowhere that a walk can reach.
    Lost = 3,
}

/// The places of the return address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, IntoBytes, Immutable)]
#[repr(u8)]
pub enum ReturnAddress {
    /// The return address is in memory at CFA + `ra_offset`.
    #[default]
    AtCfa = 0,
    /// The return address is in the link register (aarch64): only in an interrupted frame.
    LinkRegister = 1,
    /// The return address is in register `register` (x86-64, `vfork`): only in an interrupted frame.
    Register = 2,
    /// The return address is as for `AtCfa`, but the interrupted frame of a thread whose result register is 0 is a
    /// root: the first instructions of a thread that `clone` made, on a stack that holds no return address yet.
    AtCfaUnlessChild = 3,
}

/// One step from a frame to its caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub struct Rule {
    /// The way to find the CFA.
    pub cfa: Cfa,
    /// The place of the caller's frame pointer.
    pub fp: SavedFp,
    /// The place of the return address.
    pub ra: ReturnAddress,
    /// A register in DWARF's numbers, if `cfa` or `ra` names one.
    pub register: u8,
    /// Offset in bytes that `cfa` adds; for [`Cfa::Plt`] the byte of an entry from which on it pushes.
    pub cfa_offset: i32,
    /// Offset in bytes that `fp` adds to the CFA or to the frame pointer.
    pub fp_offset: i16,
    /// Offset of the return address in bytes from the CFA.
    pub ra_offset: i16,
    /// Bytes added to a CFA read from memory.
    pub add: i16,
    /// The place of rbx in the dynamic linker of x86-64, whose `_dl_runtime_resolve` has its CFA there. 1: in its
    /// register; negative: in memory at CFA + `kept`; 0: not known.
    pub kept: i16,
}

const _: () = assert!(size_of::<Rule>() == 16);

impl Rule {
    /// The rule of code that no table covers.
    pub const GAP: Self = Self::only(Cfa::Gap);
    /// The rule of code whose table asks for a step that a walk cannot take.
    pub const UNSUPPORTED: Self = Self::only(Cfa::Unsupported);
    /// The rule of the outermost frame.
    pub const ROOT: Self = Self::only(Cfa::Root);
    /// The rule of a signal frame.
    pub const SIGNAL: Self = Self::only(Cfa::Signal);

    /// The rule of a function that calls another on another stack than its own.
    pub const OTHER_STACK: Self = Self::only(Cfa::OtherStack);

    const fn only(cfa: Cfa) -> Self {
        Self {
            cfa,
            fp: SavedFp::Same,
            ra: ReturnAddress::AtCfa,
            register: 0,
            cfa_offset: 0,
            fp_offset: 0,
            ra_offset: 0,
            add: 0,
            kept: 0,
        }
    }

    /// A function of x86-64 with `depth` bytes between its stack pointer and the CFA, which changes no other register.
    pub(crate) const fn pushed(depth: i32) -> Self {
        let mut rule = Self::only(Cfa::Sp);
        rule.cfa_offset = depth;
        rule.ra_offset = -8;
        rule
    }
}

/// The index of a rule in the rule table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RuleId(u16);

impl RuleId {
    /// The id of [`Rule::GAP`] in every table.
    pub const GAP: Self = Self(0);
    /// The id of [`Rule::UNSUPPORTED`] in every table.
    pub const UNSUPPORTED: Self = Self(1);

    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The rule's index in the table
    #[must_use]
    pub fn index(self) -> usize {
        self.0.into()
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }
}
