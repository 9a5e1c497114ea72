//! An oracle: the same rows by gimli and object, which share no code with the crate.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "an oracle of tests"
)]

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, DebugFrame, EhFrame, EndianSlice, LittleEndian, Operation, Register,
    RegisterRule, UnwindContext, UnwindSection,
};
use object::{Architecture, Object, ObjectSection, ObjectSegment, SegmentFlags};
use unwind::{Cfa, PageRows, ReturnAddress, Rule, RuleTable, SavedFp, UnwindFile};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A function and its rules, by ascending addresses.
struct Function {
    start: u64,
    end: u64,
    rules: Vec<(u64, u64, Rule)>,
}

/// The counts and differences that a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) pages: u64,
    pub(crate) rows: u64,
    /// Ranges whose rule comes from the code and not from a table.
    pub(crate) synthetic: u64,
    /// Ranges that differ, in words; the first ones only.
    pub(crate) differences: Vec<String>,
    pub(crate) different: u64,
}

#[derive(Clone, Copy)]
struct Machine {
    sp: u16,
    fp: u16,
    ra: u16,
    x86: bool,
}

/// `bregN + n [deref [+ m]]`.
fn simple(e: gimli::Expression<Slice<'_>>, encoding: gimli::Encoding) -> Option<(u16, i64, Option<i64>)> {
    let mut operations = e.operations(encoding);
    let Operation::RegisterOffset { register, offset, .. } = operations.next().ok()?? else { return None };
    let mut out = (register.0, offset, None);
    while let Some(operation) = operations.next().ok()? {
        match (operation, &mut out) {
            (Operation::Deref { .. }, (_, _, add @ None)) => *add = Some(0),
            (Operation::PlusConstant { value }, (_, offset, None)) => *offset += value as i64,
            (Operation::PlusConstant { value }, (_, _, Some(add))) => *add += value as i64,
            _ => return None,
        }
    }
    Some(out)
}

fn rule_of<'a, U: UnwindSection<Slice<'a>>>(
    row: &gimli::UnwindTableRow<usize>,
    section: &U,
    encoding: gimli::Encoding,
    machine: Machine,
) -> Option<Rule> {
    let Machine { sp, fp, ra, x86 } = machine;
    let mut rule = Rule::default();
    match row.register(Register(ra)) {
        Some(RegisterRule::Undefined) => return Some(Rule::ROOT),
        None if x86 => return Some(Rule::ROOT),
        None | Some(RegisterRule::SameValue) if !x86 => rule.ra = ReturnAddress::LinkRegister,
        Some(RegisterRule::Register(Register(30))) if !x86 => rule.ra = ReturnAddress::LinkRegister,
        Some(RegisterRule::Offset(at)) => rule.ra_offset = at.try_into().ok()?,
        Some(RegisterRule::Register(Register(number))) if number < 16 => {
            rule.ra = ReturnAddress::Register;
            rule.register = number as u8;
        }
        _ => return None,
    }
    let (register, offset, deref) = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => (register.0, *offset, None),
        CfaRule::Expression(e) => {
            let e = e.get(section).ok()?;
            let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0, 0x2a, 0x33, 0x24, 0x22];
            let bytes = e.0.slice();
            if x86 && bytes.len() == 11 && bytes[..6] == plt[..6] && bytes[7..] == plt[7..] {
                rule.cfa = Cfa::Plt;
                rule.cfa_offset = (bytes[6] - 0x30).into();
                (u16::MAX, 0, None)
            } else {
                simple(e, encoding)?
            }
        }
    };
    if rule.cfa != Cfa::Plt {
        rule.cfa_offset = offset.try_into().ok()?;
        rule.cfa = match (register, deref) {
            (r, None) if r == sp => Cfa::Sp,
            (r, None) if r == fp => Cfa::Fp,
            (r, Some(_)) if r == sp => Cfa::AtSp,
            (r, Some(_)) if r == fp => Cfa::AtFp,
            (r, None) if r < (if x86 { 16 } else { 31 }) && rule.ra != ReturnAddress::Register => {
                rule.register = r as u8;
                Cfa::Register
            }
            _ => return None,
        };
        rule.add = deref.unwrap_or(0).try_into().ok()?;
    }
    match row.register(Register(fp)) {
        None | Some(RegisterRule::SameValue) => {}
        Some(RegisterRule::Offset(at)) => {
            rule.fp = SavedFp::AtCfa;
            rule.fp_offset = at.try_into().ok()?;
        }
        Some(RegisterRule::Expression(e)) => match e.get(section).ok().and_then(|e| simple(e, encoding)) {
            Some((register, offset, None)) if register == fp => {
                rule.fp = SavedFp::AtFp;
                rule.fp_offset = offset.try_into().ok()?;
            }
            _ => rule.fp = SavedFp::Lost,
        },
        Some(_) => rule.fp = SavedFp::Lost,
    }
    Some(rule)
}

fn functions<'a, U: UnwindSection<Slice<'a>>>(
    section: &U,
    bases: &BaseAddresses,
    machine: Machine,
) -> Vec<Function>
where
    U::Offset: std::hash::Hash,
{
    let mut context = UnwindContext::new();
    let mut cies = std::collections::HashMap::new();
    let mut all = Vec::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let parsed = partial.parse(|section, bases, offset| match cies.get(&offset) {
            Some(cie) => Ok(Clone::clone(cie)),
            None => {
                let cie = section.cie_from_offset(bases, offset)?;
                cies.insert(offset, cie.clone());
                Ok::<_, gimli::Error>(cie)
            }
        });
        let Ok(fde) = parsed else { continue };
        let Some(end) = fde.initial_address().checked_add(fde.len()) else { continue };
        if end == fde.initial_address() {
            continue;
        }
        let (encoding, signal) = (fde.cie().encoding(), fde.cie().is_signal_trampoline());
        let mut rules = Vec::new();
        if let Ok(mut table) = fde.rows(section, bases, &mut context) {
            while let Ok(Some(row)) = table.next_row() {
                let (from, to) = (row.start_address(), row.end_address().min(end));
                if from < to {
                    let rule = if signal {
                        Rule::SIGNAL
                    } else {
                        rule_of(row, section, encoding, machine).unwrap_or(Rule::UNSUPPORTED)
                    };
                    rules.push((from, to, rule));
                }
            }
        }
        all.push(Function { start: fde.initial_address(), end, rules });
    }
    all.sort_by_key(|function| (function.start, std::cmp::Reverse(function.end)));
    all.dedup_by_key(|function| function.start);
    for at in 1..all.len() {
        let next = all[at].start;
        all[at - 1].end = all[at - 1].end.min(next);
    }
    all
}

fn cover(layers: &[Vec<Function>], from: u64, to: u64, out: &mut Vec<(u64, u64, Rule)>) {
    let Some((layer, below)) = layers.split_first() else {
        out.push((from, to, Rule::GAP));
        return;
    };
    let mut at = from;
    let first = layer.partition_point(|function| function.end <= from);
    for function in layer[first..].iter().take_while(|function| function.start < to) {
        if function.start > at {
            cover(below, at, function.start, out);
        }
        let end = function.end.min(to);
        let mut last = function.start.max(at);
        for (row_from, row_to, rule) in &function.rules {
            let (row_from, row_to) = ((*row_from).max(last), (*row_to).min(end));
            if row_from < row_to {
                out.push((row_from, row_to, *rule));
                last = row_to;
            }
        }
        if last < end {
            out.push((last, end, Rule::GAP));
        }
        at = end;
    }
    if at < to {
        cover(below, at, to, out);
    }
}

/// The number of ranges with a rule in the `.eh_frame` of a file, each of them turned into a rule: the work to compare
/// with.
#[allow(dead_code, reason = "for the benchmark alone")]
pub(crate) fn rows(bytes: &[u8]) -> usize {
    let file = object::File::parse(bytes).unwrap();
    let x86 = file.architecture() == Architecture::X86_64;
    let machine =
        if x86 { Machine { sp: 7, fp: 6, ra: 16, x86 } } else { Machine { sp: 31, fp: 29, ra: 30, x86 } };
    let section = file.section_by_name(".eh_frame").unwrap();
    let eh_frame = EhFrame::new(section.data().unwrap(), LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(section.address());
    functions(&eh_frame, &bases, machine).iter().map(|function| function.rules.len()).sum()
}

/// True if the crate reads from the code the rule in which it differs from the tables.
fn is_synthetic(ours: Rule, theirs: Rule) -> bool {
    let child =
        Rule { ra: ReturnAddress::AtCfa, ..ours } == theirs && ours.ra == ReturnAddress::AtCfaUnlessChild;
    let gap = theirs == Rule::GAP
        && (matches!(ours.cfa, Cfa::Root | Cfa::Signal | Cfa::Plt | Cfa::OtherStack)
            || (ours.cfa == Cfa::Sp && matches!(ours.cfa_offset, 8 | 16) && ours.ra_offset == -8));
    child || gap
}

/// The functions of a file by its tables: those of `.eh_frame`, and those of `.debug_frame`.
fn layers(file: &object::File<'_>, machine: Machine) -> Vec<Vec<Function>> {
    let vendor = if machine.x86 { gimli::Vendor::Default } else { gimli::Vendor::AArch64 };
    let mut bases = BaseAddresses::default();
    let mut layers = Vec::new();
    if let Some(section) = file.section_by_name(".eh_frame") {
        bases = bases.set_eh_frame(section.address());
        let mut eh_frame = EhFrame::new(section.data().unwrap_or(&[]), LittleEndian);
        eh_frame.set_vendor(vendor);
        layers.push(functions(&eh_frame, &bases, machine));
    }
    let debug = file
        .section_by_name(".debug_frame")
        .filter(|it| it.compressed_data().is_ok_and(|data| data.format == object::CompressionFormat::None));
    if let Some(section) = debug {
        let mut debug_frame = DebugFrame::new(section.data().unwrap_or(&[]), LittleEndian);
        debug_frame.set_vendor(vendor);
        layers.push(functions(&debug_frame, &bases, machine));
    }
    layers
}

/// The rules of a page, by ranges of file offsets: ascending, without a hole. `segments`: offset, size and address.
fn expected(
    (first, end): (u64, u64),
    segments: &[(u64, u64, u64)],
    layers: &[Vec<Function>],
) -> Vec<(u64, u64, Rule)> {
    let (mut expected, mut covered) = (Vec::new(), first);
    for (offset, size, address) in segments {
        let (from, to) = ((*offset).max(covered), (offset + size).min(end));
        if from >= to {
            continue;
        }
        if from > covered {
            expected.push((covered, from, Rule::GAP));
        }
        covered = to;
        let mut out = Vec::new();
        cover(layers, from - offset + address, to - offset + address, &mut out);
        expected
            .extend(out.into_iter().map(|(a, b, rule)| (a - address + offset, b - address + offset, rule)));
    }
    if covered < end {
        expected.push((covered, end, Rule::GAP));
    }
    expected
}

/// Compares all pages of a file. `None` if it is no ELF64 file of a known machine.
pub(crate) fn compare(bytes: &[u8], rules: &mut RuleTable) -> Option<Compared> {
    let file = object::File::parse(bytes).ok()?;
    let machine = match file.architecture() {
        Architecture::X86_64 => Machine { sp: 7, fp: 6, ra: 16, x86: true },
        Architecture::Aarch64 => Machine { sp: 31, fp: 29, ra: 30, x86: false },
        _ => return None,
    };
    let mut ours = UnwindFile::open(bytes).ok()?;
    let layers = layers(&file, machine);
    let mut segments: Vec<(u64, u64, u64)> = file
        .segments()
        .filter(|it| matches!(it.flags(), SegmentFlags::Elf { p_flags } if p_flags & 1 != 0))
        .map(|it| (it.file_range().0, it.file_range().1, it.address()))
        .filter(|(_, size, _)| *size > 0)
        .collect();
    segments.sort_unstable();
    let mut compared = Compared::default();
    for page in 0..ours.pages() {
        let (first, end) = (page * PageRows::SIZE, (page + 1) * PageRows::SIZE);
        match ours.page(bytes, page, rules) {
            Ok(rows) => compared.add(first, &rows, &expected((first, end), &segments, &layers), rules),
            Err(error) => {
                compared.different += 1;
                compared.differences.push(format!("page {page}: {error}"));
            }
        }
    }
    Some(compared)
}

impl Compared {
    /// Compares the rows of the page that begins at `first` with the rules expected of it.
    fn add(&mut self, first: u64, page: &PageRows, expected: &[(u64, u64, Rule)], rules: &RuleTable) {
        let rows = page.rows();
        assert_eq!(rows[0].low(), 0);
        assert!(
            rows.windows(2).all(|pair| pair[0].low() < pair[1].low() && pair[0].rule() != pair[1].rule())
        );
        self.pages += 1;
        self.rows += rows.len() as u64;
        // Every byte at which either changes.
        let mut at: Vec<u64> = rows.iter().map(|row| first + u64::from(row.low())).collect();
        at.extend(expected.iter().map(|range| range.0));
        at.sort_unstable();
        at.dedup();
        for byte in at {
            let theirs = expected[expected.partition_point(|range| range.1 <= byte)].2;
            let mine = rules.rule(page.rule_at((byte - first) as u16));
            if mine == theirs || (Rule { kept: 0, ..mine } == theirs) {
                continue;
            }
            if is_synthetic(Rule { kept: 0, ..mine }, theirs) {
                self.synthetic += 1;
                continue;
            }
            self.different += 1;
            if self.differences.len() < 5 {
                self.differences.push(format!("offset {byte:#x}: ours {mine:?}, gimli's {theirs:?}"));
            }
        }
    }
}
