//! Golden cases, each written byte by byte, and properties of files of any bytes.

use proptest::prelude::*;

use super::*;

/// An ELF64 file with one executable segment at address 0x1000, offset 0x1000, and its unwind tables at 0x8000.
struct TestFile {
    machine: u16,
    text: Vec<u8>,
    eh_frame: Vec<u8>,
    /// Pairs of function and entry address.
    table: Vec<(u64, u64)>,
    header_encoding: u8,
    entry: u64,
    sections: bool,
}

const TEXT: u64 = 0x1000;
const EH_FRAME: u64 = 0x8000;
const HEADER: u64 = 0xf000;

impl TestFile {
    fn new(text_size: usize) -> Self {
        Self {
            machine: 62,
            text: vec![0x90; text_size],
            eh_frame: Vec::new(),
            table: Vec::new(),
            header_encoding: 0x3b,
            entry: 0,
            sections: true,
        }
    }

    fn push_entry(&mut self, body: &[u8]) -> u64 {
        let at = self.eh_frame.len() as u64;
        let padding = body.len().next_multiple_of(4) - body.len();
        self.eh_frame.extend(u32::try_from(body.len() + padding).unwrap().to_le_bytes());
        self.eh_frame.extend(body);
        self.eh_frame.extend(std::iter::repeat_n(0, padding));
        at
    }

    /// A CIE whose functions begin with `instructions`; `augmentation` without data but the encoding of addresses.
    fn cie(
        &mut self,
        augmentation: &str,
        code_factor: u8,
        data_factor: i8,
        ra: u8,
        instructions: &[u8],
    ) -> u64 {
        let mut body = vec![0, 0, 0, 0, 1];
        body.extend(augmentation.as_bytes());
        body.extend([0, code_factor, data_factor.cast_unsigned() & 0x7f, ra, 1, 0x1b]);
        body.extend(instructions);
        self.push_entry(&body)
    }

    fn cie_x86_64(&mut self) -> u64 {
        // def_cfa rsp+8; offset rip at cfa-8
        self.cie("zR", 1, -8, 16, &[0x0c, 7, 8, 0x90, 1])
    }

    fn fde(&mut self, cie: u64, start: u64, length: u32, instructions: &[u8]) {
        let at = self.eh_frame.len() as u64;
        let mut body = Vec::new();
        body.extend(u32::try_from(at + 4 - cie).unwrap().to_le_bytes());
        let field = EH_FRAME + at + 8;
        body.extend(i32::try_from(start.cast_signed() - field.cast_signed()).unwrap().to_le_bytes());
        body.extend(length.to_le_bytes());
        body.push(0);
        body.extend(instructions);
        self.push_entry(&body);
        self.table.push((start, EH_FRAME + at));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; 0x10000];
        let mut put = |at: u64, bytes: &[u8]| {
            let at = usize::try_from(at).unwrap();
            out[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &3u16.to_le_bytes());
        put(18, &self.machine.to_le_bytes());
        put(24, &self.entry.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(54, &56u16.to_le_bytes());
        put(56, &3u16.to_le_bytes());
        let mut segment = |index: u64, kind: u32, flags: u32, at: u64, size: u64| {
            let mut header = Vec::new();
            header.extend(kind.to_le_bytes());
            header.extend(flags.to_le_bytes());
            for value in [at, at, at, size, size, 0x1000] {
                header.extend(value.to_le_bytes());
            }
            put(64 + index * 56, &header);
        };
        segment(0, 1, 5, TEXT, self.text.len() as u64);
        segment(1, 1, 4, EH_FRAME, 0x8000);
        segment(2, if self.sections { 0x6474_e550 } else { 0 }, 4, HEADER, 12 + 8 * self.table.len() as u64);
        put(TEXT, &self.text);
        put(EH_FRAME, &self.eh_frame);
        let mut table = self.table.clone();
        table.sort_unstable();
        let mut header = vec![1, 0x1b, 0x03, self.header_encoding];
        let relative =
            |address: u64| i32::try_from(address.cast_signed() - HEADER.cast_signed()).unwrap().to_le_bytes();
        header.extend(
            i32::try_from(EH_FRAME.cast_signed() - (HEADER + 4).cast_signed()).unwrap().to_le_bytes(),
        );
        header.extend(u32::try_from(table.len()).unwrap().to_le_bytes());
        for (start, entry) in table {
            header.extend(relative(start));
            header.extend(relative(entry));
        }
        put(HEADER, &header);
        out
    }

    /// The rows of the first page, as offset and rule.
    fn rows(&self) -> Vec<(u16, Rule)> {
        let mut rules = RuleTable::new();
        let bytes = self.bytes();
        let page = UnwindFile::open(bytes.as_slice()).unwrap().page(bytes.as_slice(), 0, &mut rules).unwrap();
        page.rows().iter().map(|row| (row.low(), rules.rule(row.rule()))).collect()
    }
}

fn sp(depth: i32) -> Rule {
    Rule::pushed(depth)
}

#[test]
fn a_function_with_a_frame_pointer_has_a_row_for_each_change() {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    // advance 1; cfa offset 16; rbp at cfa-16; advance 3; cfa rbp; advance 0x20; cfa rsp+8
    file.fde(cie, 0x1010, 0x30, &[0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x60, 0x0c, 7, 8]);
    let saved = |rule: Rule| Rule { fp: SavedFp::AtCfa, fp_offset: -16, ..rule };
    let expected = vec![
        (0, Rule::GAP),
        (0x1010, sp(8)),
        (0x1011, saved(sp(16))),
        (0x1014, saved(Rule { cfa: Cfa::Fp, ..sp(16) })),
        (0x1034, saved(sp(8))),
        (0x1040, Rule::GAP),
    ];
    assert_eq!(file.rows(), expected);
    file.header_encoding = 0x1b;
    assert_eq!(file.rows(), expected, "by reading the whole section");
}

#[test]
fn remembered_states_come_back_whole() {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    // advance 1; cfa offset 16; remember; advance 1; cfa offset 8; advance 1; restore
    file.fde(cie, 0x1000, 0x10, &[0x41, 0x0e, 16, 0x0a, 0x41, 0x0e, 8, 0x41, 0x0b]);
    let rows = file.rows();
    assert_eq!(rows[1..5], [(0x1000, sp(8)), (0x1001, sp(16)), (0x1002, sp(8)), (0x1003, sp(16))]);
}

#[test]
fn roots_signal_frames_and_what_no_walk_can_do_have_rules_of_their_own() {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    file.fde(cie, 0x1000, 0x10, &[0x07, 16]);
    // cfa by an expression: lit0
    file.fde(cie, 0x1010, 0x10, &[0x0f, 1, 0x30]);
    // The linkage table's expression.
    let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
    file.fde(cie, 0x1020, 0x10, &[&[0x0f, 11], &plt[..]].concat());
    // cfa is the word at rbp-16, plus 8
    file.fde(cie, 0x1030, 0x10, &[0x0f, 5, 0x76, 0x70, 0x06, 0x23, 8]);
    // cfa by rbx
    file.fde(cie, 0x1040, 0x10, &[0x0c, 3, 16]);
    // return address in rdi: vfork
    file.fde(cie, 0x1050, 0x10, &[0x09, 16, 5]);
    let signal = file.cie("zRS", 1, -8, 16, &[]);
    file.fde(signal, 0x1060, 0x10, &[]);
    let rows = file.rows();
    let expected = [
        (0x1000, Rule::ROOT),
        (0x1010, Rule::UNSUPPORTED),
        (0x1020, Rule { cfa: Cfa::Plt, ..sp(11) }),
        (0x1030, Rule { cfa: Cfa::AtFp, cfa_offset: -16, add: 8, ..sp(0) }),
        (0x1040, Rule { cfa: Cfa::Register, register: 3, ..sp(16) }),
        (0x1050, Rule { ra: ReturnAddress::Register, register: 5, ra_offset: 0, ..sp(8) }),
        (0x1060, Rule::SIGNAL),
        (0x1070, Rule::GAP),
    ];
    assert_eq!(rows[1..], expected);
}

#[test]
fn a_leaf_of_aarch64_has_its_return_address_in_the_link_register() {
    let mut file = TestFile::new(0x100);
    file.machine = 183;
    let cie = file.cie("zR", 4, -8, 30, &[0x0c, 31, 0]);
    // negate_ra_state; advance 1; cfa offset 32; fp at cfa-32, lr at cfa-24
    file.fde(cie, 0x1000, 0x20, &[0x2d, 0x41, 0x0e, 32, 0x9d, 4, 0x9e, 3]);
    let leaf = Rule { ra: ReturnAddress::LinkRegister, ra_offset: 0, ..sp(0) };
    let framed = Rule { fp: SavedFp::AtCfa, fp_offset: -32, ra_offset: -24, ..sp(32) };
    assert_eq!(file.rows()[1..], [(0x1000, leaf), (0x1004, framed), (0x1020, Rule::GAP)]);
}

#[test]
fn of_overlapping_functions_the_later_one_counts_and_of_equal_ones_the_longer() {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    file.fde(cie, 0x1000, 0x40, &[0x0e, 16]);
    file.fde(cie, 0x1010, 0x10, &[0x0e, 24]);
    file.fde(cie, 0x1010, 0x20, &[0x0e, 32]);
    file.fde(cie, 0x1014, 0, &[0x0e, 40]);
    let expected = [(0, Rule::GAP), (0x1000, sp(16)), (0x1010, sp(32)), (0x1030, Rule::GAP)];
    assert_eq!(file.rows(), expected);
    file.header_encoding = 0xff;
    assert_eq!(file.rows(), expected, "by reading the whole section");
}

#[test]
fn instructions_that_are_malformed_leave_a_gap_behind_them() {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    // advance 4; a code that does not exist
    file.fde(cie, 0x1000, 0x10, &[0x44, 0x3f]);
    file.fde(cie, 0x1010, 0x10, &[]);
    let expected =
        [(0, Rule::GAP), (0x1000, sp(8)), (0x1004, Rule::GAP), (0x1010, sp(8)), (0x1020, Rule::GAP)];
    assert_eq!(file.rows(), expected);
}

#[test]
fn a_table_that_contradicts_the_entries_is_not_used() {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    file.fde(cie, 0x1000, 0x10, &[]);
    file.fde(cie, 0x1020, 0x10, &[]);
    let expected = file.rows();
    file.table[1].0 = 0x1024;
    assert_eq!(file.rows(), expected);
}

#[test]
fn an_empty_entry_does_not_hide_the_one_behind_it() {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    file.fde(cie, 0x1000, 0, &[]);
    file.fde(cie, 0x1000, 0x10, &[]);
    // The table is as lld writes it: one entry for each address.
    file.table.pop();
    assert_eq!(file.rows(), [(0, Rule::GAP), (0x1000, sp(8)), (0x1010, Rule::GAP)]);
}

#[test]
fn init_has_rules_though_no_entry() {
    let mut file = TestFile::new(0x100);
    // endbr64; sub $8, %rsp; ...; add $8, %rsp; ret
    file.text[..4].copy_from_slice(&[0xf3, 0x0f, 0x1e, 0xfa]);
    file.text[4..8].copy_from_slice(&[0x48, 0x83, 0xec, 0x08]);
    file.text[16..20].copy_from_slice(&[0x48, 0x83, 0xc4, 0x08]);
    file.text[20] = 0xc3;
    let bytes = file.bytes();
    let mut unwind = UnwindFile::open(bytes.as_slice()).unwrap();
    unwind.add_pieced(TEXT);
    let mut rules = RuleTable::new();
    let page = unwind.page(bytes.as_slice(), 0, &mut rules).unwrap();
    let rule = |low| rules.rule(page.rule_at(low));
    assert_eq!([rule(0x1000), rule(0x1007), rule(0x1008)], [sp(8), sp(8), sp(16)]);
    assert_eq!([rule(0x1013), rule(0x1014), rule(0x1015)], [sp(16), sp(8), Rule::GAP]);
}

#[test]
fn entry_points_return_trampolines_and_new_threads_are_known_by_their_code() {
    let mut file = TestFile::new(0x100);
    file.entry = 0x1000;
    // xor %rbp, %rbp; mov %rsp, %rdi; call
    file.text[..11].copy_from_slice(&[0x48, 0x31, 0xed, 0x48, 0x89, 0xe7, 0xe8, 1, 0, 0, 0]);
    file.text[0x40..0x49].copy_from_slice(&[0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05]);
    // syscall; test %rax, %rax; jl; jz; ret
    file.text[0x80..0x8a].copy_from_slice(&[0x0f, 0x05, 0x48, 0x85, 0xc0, 0x7c, 9, 0x74, 1, 0xc3]);
    let cie = file.cie_x86_64();
    file.fde(cie, 0x1080, 0x20, &[]);
    // As in clone3, whose system call no entry covers.
    file.text[0xc0..0xca].copy_from_slice(&[0x0f, 0x05, 0x48, 0x85, 0xc0, 0x7c, 9, 0x74, 1, 0xc3]);
    let child = Rule { ra: ReturnAddress::AtCfaUnlessChild, ..sp(8) };
    let expected = [
        (0, Rule::GAP),
        (0x1000, Rule::ROOT),
        (0x100c, Rule::GAP),
        (0x103f, Rule::SIGNAL),
        (0x1049, Rule::GAP),
        (0x1080, sp(8)),
        (0x1082, child),
        (0x1089, sp(8)),
        (0x10a0, Rule::GAP),
        (0x10c2, child),
        (0x10c9, Rule::GAP),
    ];
    assert_eq!(file.rows(), expected);
}

/// musl has no tables; what it calls by an address, and gives the result of to a function that never returns, is `main`
/// or the function of a thread.
#[test]
fn main_and_threads_of_musl_are_called_by_a_root() {
    let mut file = TestFile::new(0x100);
    file.entry = 0x1080;
    // xor %rbp, %rbp; mov %rsp, %rdi; lea _DYNAMIC(%rip), %rsi; and $-16, %rsp; call
    let entry = [0x48, 0x31, 0xed, 0x48, 0x89, 0xe7, 0x48, 0x8d, 0x35, 1, 2, 3, 0, 0x48, 0x83, 0xe4, 0xf0];
    file.text[0x80..0x91].copy_from_slice(&entry);
    file.text[0x91..0x96].copy_from_slice(&[0xe8, 1, 0, 0, 0]);
    // call *%rbx; mov %eax, %edi; call
    file.text[0x10..0x15].copy_from_slice(&[0xff, 0xd3, 0x89, 0xc7, 0xe8]);
    // call *(%rbx); mov %rax, %rdi; call
    file.text[0x20..0x26].copy_from_slice(&[0xff, 0x13, 0x48, 0x89, 0xc7, 0xe8]);
    // call *%r12; movslq %eax, %rdi; call
    file.text[0x30..0x37].copy_from_slice(&[0x41, 0xff, 0xd4, 0x48, 0x63, 0xf8, 0xe8]);
    // jmp *%rbx; mov %eax, %edi; call
    file.text[0x40..0x45].copy_from_slice(&[0xff, 0xe3, 0x89, 0xc7, 0xe8]);
    let roots = |file: &TestFile| {
        let rows = file.rows();
        let found = rows.iter().filter(|(_, rule)| *rule == Rule::ROOT).map(|(low, _)| *low);
        found.collect::<Vec<_>>()
    };
    assert_eq!(roots(&file), [0x1010, 0x1020, 0x1030, 0x1080]);
    let ends: Vec<u16> = file.rows().iter().map(|(low, _)| *low).collect();
    assert!([0x1012, 0x1022, 0x1033].iter().all(|end| ends.contains(end)), "{ends:x?}");
    file.text[0x86] = 0x90;
    assert_eq!(roots(&file), [0x1080], "of another C library");
}

/// Behind a change to another stack, in a file that has Go code: for as long as the call of what runs there takes.
#[test]
fn changes_of_the_stack_in_go_code_are_known() {
    let gap: Vec<u8> =
        [&[0x90; 16][..], &[0x48, 0x8b, 0x66, 0x38], &[0x90; 80], &[0x49, 0x8b, 0x66, 0x38]].concat();
    let found: Vec<_> = synthetic::go_switches(&gap).map(|(from, to, _)| (from, to)).collect();
    assert_eq!(found, [(20, 68), (104, 104)]);
    // mov 0x38(%rsp), %rsp, which takes another byte; mov 0x30(%rsi), %rsp; mov 0x38(%rsi), %rbp
    for other in [[0x48, 0x8b, 0x64, 0x38], [0x48, 0x8b, 0x66, 0x30], [0x48, 0x8b, 0x6e, 0x38]] {
        assert_eq!(synthetic::go_switches(&other).count(), 0, "{other:x?}");
    }
}

#[test]
fn a_page_that_begins_inside_a_function_begins_with_its_rule() {
    let mut text = TestFile::new(0x100);
    let cie = text.cie_x86_64();
    text.fde(cie, 0x1000, 0x2_0000, &[0x44, 0x0e, 32]);
    let mut bytes = text.bytes();
    // The segment reaches into the third page.
    bytes[64 + 32..64 + 40].copy_from_slice(&0x1_f000u64.to_le_bytes());
    bytes.resize(0x2_0000, 0x90);
    let mut unwind = UnwindFile::open(bytes.as_slice()).unwrap();
    assert_eq!(unwind.pages(), 2);
    let mut rules = RuleTable::new();
    let page = unwind.page(bytes.as_slice(), 1, &mut rules).unwrap();
    let rows: Vec<_> = page.rows().iter().map(|row| (row.low(), rules.rule(row.rule()))).collect();
    assert_eq!(rows, [(0, sp(32))]);
}

#[test]
fn what_is_no_elf64_file_is_refused() {
    assert!(matches!(UnwindFile::open([].as_slice()), Err(UnwindError::OtherFormat)));
    let mut bytes = TestFile::new(0x100).bytes();
    bytes[4] = 1;
    assert!(matches!(UnwindFile::open(bytes.as_slice()), Err(UnwindError::OtherFormat)));
}

/// A file of two functions, for damaging.
fn sample() -> Vec<u8> {
    let mut file = TestFile::new(0x100);
    let cie = file.cie_x86_64();
    file.fde(
        cie,
        0x1000,
        0x40,
        &[0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x0a, 0x60, 0x0c, 7, 8, 0x41, 0x0b],
    );
    file.fde(cie, 0x1040, 0x40, &[0x0f, 5, 0x76, 0x70, 0x06, 0x23, 8]);
    file.bytes()
}

fn read_all(bytes: &[u8]) {
    let mut rules = RuleTable::new();
    if let Ok(mut file) = UnwindFile::open(bytes) {
        for page in 0..file.pages().min(4) {
            if let Ok(rows) = file.page(bytes, page, &mut rules) {
                assert_eq!(rows.rows().first().map(|row| row.low()), Some(0));
                assert!(rows.rows().windows(2).all(|pair| pair[0].low() < pair[1].low()));
                assert!(rows.rows().iter().all(|row| row.rule().index() < rules.used()));
            }
        }
        file.shrink();
    }
}

proptest! {
    /// Any bytes are read or refused: no panic, and rows always ascend from byte 0.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        read_all(&bytes);
    }

    /// Files that are damaged in a few places, most of them in the headers and the tables, are read or refused too.
    #[test]
    fn damaged_files_are_read_or_refused(
        damage in prop::collection::vec((prop_oneof![0usize..256, 0x8000usize..0x8080, 0xf000usize..0xf020], any::<u8>()), 1..8)
    ) {
        let mut bytes = sample();
        for (at, value) in damage {
            bytes[at] = value;
        }
        read_all(&bytes);
    }
}
