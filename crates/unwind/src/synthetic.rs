//! Rules for code of x86-64 and aarch64 that no table covers, and for one place where the tables say too little.
//!
//! All such code is recognised by bytes that the ABI or decades of C libraries have fixed.

use memchr::memmem;

use crate::Rule;

/// The rule that holds for some bytes of code in place of the tables' one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Overlay {
    /// The rule is this one.
    Rule(Rule),
    /// The rule is the tables' own, but a new thread starts here.
    Child,
}

/// A range of bytes in the text and the rule that holds for it.
pub(crate) type Found = (usize, usize, Overlay);

/// The most overlays of one page.
pub(crate) const MAX_OVERLAYS: usize = 64;

/// The most bytes of a function that are searched.
const MAX_FUNCTION: usize = 64;

/// `mov $15, %rax; syscall` (`rt_sigreturn`), as kernel and debuggers know it.
const SIGRETURN_X86_64: &[u8] = &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
/// `mov x8, #139; svc #0` (`rt_sigreturn`).
const SIGRETURN_AARCH64: &[u8] = &[0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];
const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
const PUSH_8: &[u8] = &[0x48, 0x83, 0xec, 0x08];
const POP_8: &[u8] = &[0x48, 0x83, 0xc4, 0x08];

/// Return trampolines of signal handlers in a gap. Each range begins one byte earlier, since the pc of a caller is
/// looked up there.
pub(crate) fn sigreturns(gap: &[u8], aarch64: bool) -> impl Iterator<Item = Found> + '_ {
    let code = if aarch64 { SIGRETURN_AARCH64 } else { SIGRETURN_X86_64 };
    memmem::find_iter(gap, code)
        .map(|at| (at.saturating_sub(1), at + code.len(), Overlay::Rule(Rule::SIGNAL)))
}

/// The bytes behind `clone`'s system call, up to where parent and child part: x86-64, glibc.
pub(crate) fn children(text: &[u8]) -> impl Iterator<Item = Found> + '_ {
    memmem::find_iter(text, &[0x0f, 0x05, 0x48, 0x85, 0xc0]).filter_map(|at| {
        let from = at + 2;
        // test rax, rax; jl error; jz child; ret
        let behind = match text.get(from + 3..)? {
            [0x7c, _, 0x74, _, 0xc3, ..] => 7,
            [0x0f, 0x8c, _, _, _, _, 0x74, _, 0xc3, ..] => 11,
            _ => return None,
        };
        Some((from, from + behind, Overlay::Child))
    })
}

/// `_init` and `_fini`, which are assembled from pieces and have no entry: `code` begins at the function.
pub(crate) fn pieced(code: &[u8]) -> Vec<Found> {
    let code = code.get(..MAX_FUNCTION).unwrap_or(code);
    let push = if code.starts_with(ENDBR64) { ENDBR64.len() } else { 0 };
    if !code.get(push..).is_some_and(|rest| rest.starts_with(PUSH_8)) {
        return Vec::new();
    }
    let inside = push + PUSH_8.len();
    let Some(pop) = code.get(inside..).and_then(|rest| memmem::find(rest, POP_8)) else { return Vec::new() };
    let outside = inside + pop + POP_8.len();
    let shallow = Overlay::Rule(Rule::pushed(8));
    vec![
        (0, inside, shallow),
        (inside, outside, Overlay::Rule(Rule::pushed(16))),
        (outside, outside + 1, shallow),
    ]
}

/// The first instructions of a program, up to its only call: `code` begins at the entry point.
pub(crate) fn entry(code: &[u8], aarch64: bool) -> Option<Found> {
    let code = code.get(..MAX_FUNCTION).unwrap_or(code);
    let root = Overlay::Rule(Rule::ROOT);
    if aarch64 {
        // mov x29, #0 is the first instruction of all entry points; bl or b ends them.
        let words = code.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_le_bytes));
        let last = words.enumerate().find(|(_, word)| matches!(word >> 26, 0b10_0101 | 0b00_0101))?;
        return Some((0, (last.0 + 1) * 4, root));
    }
    // xor %ebp, %ebp, with or without a prefix.
    let start = if code.starts_with(ENDBR64) { ENDBR64.len() } else { 0 };
    if !matches!(code.get(start..)?, [0x31, 0xed, ..] | [0x48, 0x31, 0xed, ..]) {
        return None;
    }
    let call = (start..code.len()).find(|at| {
        matches!(code.get(*at..), Some([0xe8, _, _, _, 0x00 | 0xff, ..] | [0xff, 0x15, _, _, _, _, ..]))
    })?;
    Some((0, call + 6, root))
}

/// The bytes of an entry point by which [`is_musl`] decides.
pub(crate) const MUSL_ENTRY_BYTES: usize = 18;

/// True for the entry point of musl, of a program and of its dynamic linker, which is the C library as well: x86-64.
/// Distributions build musl without tables, and so its functions above `main` are known by their code alone.
pub(crate) fn is_musl(entry: [u8; MUSL_ENTRY_BYTES]) -> bool {
    // xor %rbp, %rbp; mov %rsp, %rdi; lea _DYNAMIC(%rip), %rsi; and $-16, %rsp; call
    matches!(
        entry,
        [0x48, 0x31, 0xed, 0x48, 0x89, 0xe7, 0x48, 0x8d, 0x35, _, _, _, _, 0x48, 0x83, 0xe4, 0xf0, 0xe8]
    )
}

/// The calls by which musl enters `main` and the function of a thread: those of a function by its address, whose result
/// goes to `exit` or to the end of the thread at once. A frame there is taken for the outermost one, since the few
/// frames above it are the same in all programs.
pub(crate) fn musl_starts(gap: &[u8]) -> impl Iterator<Item = Found> + '_ {
    memchr::memchr_iter(0xff, gap).filter_map(|at| {
        let operand = *gap.get(at + 1)?;
        // The second of the operations that 0xff stands for, on a register, on memory that one points to, or near that.
        let length = match (operand & 0xf8, operand & 7) {
            (0xd0, _) => 2,
            (0x10, register) if !matches!(register, 4 | 5) => 2,
            (0x50, register) if register != 4 => 3,
            _ => return None,
        };
        let end = at + length;
        // mov %eax, %edi or mov %rax, %rdi or movslq %eax, %rdi; call
        if !matches!(
            gap.get(end..)?,
            [0x89, 0xc7, 0xe8, ..] | [0x48, 0x89, 0xc7, 0xe8, ..] | [0x48, 0x63, 0xf8, 0xe8, ..]
        ) {
            return None;
        }
        // A prefix for the registers from r8 on.
        let prefixed = at > 0 && gap.get(at - 1).is_some_and(|byte| byte & 0xf0 == 0x40);
        Some((at - usize::from(prefixed), end, Overlay::Rule(Rule::ROOT)))
    })
}

/// The code of Go behind a change to another stack: what is called there has the frame pointer of the function that
/// changes, which is on the stack that it comes from, and may lie anywhere.
pub(crate) fn go_switches(gap: &[u8]) -> impl Iterator<Item = Found> + '_ {
    /// The longest way from the change to the call.
    const TO_CALL: usize = 48;
    /// The place of the stack pointer in a goroutine's descriptor, `g.sched.sp`: the same since Go 1.4.
    const STACK_POINTER: u8 = 0x38;
    memchr::memchr_iter(0x8b, gap).filter_map(|at| {
        let prefix = *gap.get(at.checked_sub(1)?)?;
        // mov 0x38(register), %rsp
        let is_switch = matches!(prefix, 0x48 | 0x49)
            && matches!(gap.get(at + 1..)?, [operand, STACK_POINTER, ..] if operand & 0xf8 == 0x60 && operand & 7 != 4);
        let from = at + 3;
        is_switch.then(|| (from, (from + TO_CALL).min(gap.len()), Overlay::Rule(Rule::OTHER_STACK)))
    })
}

/// Entries of a procedure linkage table that a link editor left without a rule: x86-64, lld.
pub(crate) fn linkage(gap: &[u8], address: u64) -> Option<Found> {
    let first = usize::try_from(address.wrapping_neg() & 15).ok()?;
    let aligned = gap.get(first..)?;
    let is_entry = |entry: &[u8]| matches!(entry, [0xff, 0x25, _, _, _, _, 0x68, _, _, _, _, 0xe9, ..]);
    let skipped = aligned.chunks_exact(16).take_while(|entry| !is_entry(entry)).count();
    let entries = aligned.chunks_exact(16).skip(skipped).take_while(|entry| is_entry(entry)).count();
    let mut rule = Rule::pushed(11);
    rule.cfa = crate::Cfa::Plt;
    let from = first + skipped * 16;
    (entries > 0).then_some((from, from + entries * 16, Overlay::Rule(rule)))
}
