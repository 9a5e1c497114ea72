//! Files and the pages of their unwind rows.

use std::io;

use crate::elf::Elf;
use crate::entry::{Dialect, Entries};
use crate::index::{Index, SearchTable};
use crate::state::State;
use crate::synthetic::{self, Found, MAX_OVERLAYS, Overlay};
use crate::window::Budget;
use crate::{
    ByteSource, CodeSegment, Machine, PageRows, ReturnAddress, Rule, RuleId, RuleTable, UnwindError,
};

/// Work that building one page may take, in bytes that are read or interpreted. An ordinary page takes 100 KiB.
const PAGE_BUDGET: u64 = 32 << 20;
/// Bytes behind a page that are read with its code, so that a pattern may cross its end.
const OVERHANG: u64 = 64;
/// The shortest gap whose code is looked at: shorter ones are padding.
const MIN_GAP: u64 = 9;
/// The largest `.eh_frame` of a dynamic linker.
const LARGEST_LINKER: u64 = 256 << 10;

/// A source whose type is erased, so that every reader of one is compiled here, once, and with this crate's options.
struct Erased<'a, S: ?Sized>(&'a S);

impl<S: ByteSource + ?Sized> ByteSource for Erased<'_, S> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(offset, buffer)
    }
}

/// The unwind tables of one file, read page by page.
#[derive(Debug)]
pub struct UnwindFile {
    elf: Elf,
    /// Tables by precedence: `.eh_frame`, then `.debug_frame`, which counts for addresses that the first does not
    /// cover.
    layers: Vec<Index>,
    /// True if the rules keep track of rbx.
    track: bool,
}

impl UnwindFile {
    /// Reads the headers of a file.
    ///
    /// # Errors
    /// [`UnwindError::OtherFormat`] for a source that is no ELF64 file of a known machine, and any other error for a
    /// damaged file. A file without unwind tables is no error: all its pages are gaps.
    pub fn open<S: ByteSource + ?Sized>(source: &S) -> Result<Self, UnwindError> {
        Self::read(&Erased(source))
    }

    fn read(source: &dyn ByteSource) -> Result<Self, UnwindError> {
        let elf = Elf::read(source)?;
        let (pointer, table) = match elf.header {
            Some(header) => SearchTable::read(source, header)?,
            None => (None, None),
        };
        let section = match (pointer, elf.eh_frame) {
            (Some(address), Some(section)) if section.address == address => Some(section),
            (Some(address), section) => elf.loaded_from(address).or(section),
            (None, section) => section,
        };
        let machine = elf.machine;
        let track =
            elf.linker && machine == Machine::X86_64 && section.is_some_and(|it| it.size <= LARGEST_LINKER);
        let eh_frame =
            section.map(|section| Index::new(Entries::new(section, Dialect::EhFrame, machine), table));
        let debug_frame = elf
            .debug_frame
            .map(|section| Index::new(Entries::new(section, Dialect::DebugFrame, machine), None));
        Ok(Self { layers: eh_frame.into_iter().chain(debug_frame).collect(), elf, track })
    }

    #[cfg(test)]
    pub(crate) fn add_pieced(&mut self, address: u64) {
        self.elf.pieced.push(address);
    }

    /// The machine that the file is for.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.elf.machine
    }

    /// The executable segments, by offset.
    #[must_use]
    pub fn code(&self) -> &[CodeSegment] {
        &self.elf.code
    }

    /// The number of pages that the executable segments reach into, counted from the start of the file.
    #[must_use]
    pub fn pages(&self) -> u64 {
        let end = self.elf.code.iter().map(|segment| segment.offset.saturating_add(segment.size)).max();
        end.map_or(0, |end| end.div_ceil(PageRows::SIZE))
    }

    /// Bytes that the file's tables hold in memory, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.layers.iter().map(Index::memory).sum::<usize>()
    }

    /// Frees memory that only makes the next page faster.
    pub fn shrink(&mut self) {
        for layer in &mut self.layers {
            layer.shrink();
        }
    }

    /// Builds the rows of a page. Rules that are new are added to `rules`.
    ///
    /// # Errors
    /// [`UnwindError::Read`], and [`UnwindError::TooLarge`] for tables that would take too long.
    pub fn page<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        page: u64,
        rules: &mut RuleTable,
    ) -> Result<PageRows, UnwindError> {
        self.build(&Erased(source), page, rules)
    }

    fn build(
        &mut self,
        source: &dyn ByteSource,
        page: u64,
        rules: &mut RuleTable,
    ) -> Result<PageRows, UnwindError> {
        let mut build = Build {
            rows: PageRows::new(),
            rules,
            machine: self.elf.machine,
            track: self.track,
            segment: CodeSegment { address: 0, offset: 0, size: 0 },
            memo: None,
            gaps: Vec::new(),
            budget: Budget::new(PAGE_BUDGET),
        };
        build.rows.push(0, RuleId::GAP);
        let Some(first) = page.checked_mul(PageRows::SIZE) else { return Ok(build.rows) };
        let end = first.saturating_add(PageRows::SIZE);
        let mut covered = first;
        for segment in &self.elf.code {
            let from = segment.offset.max(covered);
            let to = segment.offset.saturating_add(segment.size).min(end);
            if from >= to {
                continue;
            }
            covered = to;
            build.segment = *segment;
            build.gaps.clear();
            let (from, to) = (build.address(from), build.address(to));
            build.cover(&mut self.layers, source, from, to)?;
            let overlays = build.overlays(&self.elf, source, from, to)?;
            for (from, to, overlay) in overlays.into_iter().take(MAX_OVERLAYS) {
                build.overlay(from, to, overlay);
            }
            if to < build.address(end) {
                build.push(to, RuleId::GAP);
            }
        }
        Ok(build.rows)
    }
}

/// A page under construction.
struct Build<'a> {
    rows: PageRows,
    rules: &'a mut RuleTable,
    machine: Machine,
    track: bool,
    segment: CodeSegment,
    /// The last state and its rule: functions alternate between few.
    memo: Option<(State, RuleId)>,
    /// Ranges of addresses that no table covers.
    gaps: Vec<(u64, u64)>,
    budget: Budget,
}

impl Build<'_> {
    fn address(&self, offset: u64) -> u64 {
        offset.wrapping_sub(self.segment.offset).wrapping_add(self.segment.address)
    }

    fn offset(&self, address: u64) -> u64 {
        address.wrapping_sub(self.segment.address).wrapping_add(self.segment.offset)
    }

    fn push(&mut self, address: u64, rule: RuleId) {
        let low = self.offset(address).to_le_bytes();
        self.rows.push(u16::from_le_bytes([low[0], low[1]]), rule);
    }

    /// Fills `from..to` from the first layer, and the addresses that it leaves out from the others.
    fn cover<S: ByteSource + ?Sized>(
        &mut self,
        layers: &mut [Index],
        source: &S,
        from: u64,
        to: u64,
    ) -> Result<(), UnwindError> {
        let Some((layer, below)) = layers.split_first_mut() else {
            self.push(from, RuleId::GAP);
            self.gaps.push((from, to));
            return Ok(());
        };
        let mut at = from;
        for fde in layer.functions(source, from, to, &mut self.budget)? {
            if fde.start > at {
                self.cover(below, source, at, fde.start)?;
            }
            let (start, end) = (fde.start.max(at), fde.end.min(to));
            // Rows are set from here on even if the instructions turn out to be malformed.
            self.push(start, RuleId::GAP);
            let mut budget = std::mem::replace(&mut self.budget, Budget::new(0));
            let mut last = start;
            let states =
                layer.entries().states(source, fde, &mut budget, |row_from, row_to, state, signal| {
                    if row_to > start && row_from < end {
                        let rule = self.rule(state, signal);
                        self.push(row_from.max(start), rule);
                        last = row_to.min(end);
                    }
                    row_to < end
                });
            self.budget = budget;
            states?;
            if last < end {
                self.push(last, RuleId::GAP);
            }
            at = end;
        }
        if at < to { self.cover(below, source, at, to) } else { Ok(()) }
    }

    fn rule(&mut self, state: &State, signal: bool) -> RuleId {
        if signal {
            return self.rules.id(Rule::SIGNAL);
        }
        match &self.memo {
            Some((last, rule)) if last == state => *rule,
            _ => {
                let rule = self.rules.id(state.rule(self.machine, self.track));
                self.memo = Some((*state, rule));
                rule
            }
        }
    }

    /// Reads the rules that the code itself reveals, by ranges of addresses.
    fn overlays<S: ByteSource + ?Sized>(
        &mut self,
        elf: &Elf,
        source: &S,
        from: u64,
        to: u64,
    ) -> Result<Vec<(u64, u64, Overlay)>, UnwindError> {
        let aarch64 = self.machine == Machine::Aarch64;
        self.gaps.retain(|(from, to)| to - from >= MIN_GAP);
        if aarch64 && self.gaps.is_empty() {
            return Ok(Vec::new());
        }
        let offset = self.offset(from);
        let segment_end = self.segment.offset.saturating_add(self.segment.size);
        let length =
            (to - from + OVERHANG).min(segment_end.saturating_sub(offset)).min(PageRows::SIZE + OVERHANG);
        self.budget.spend(length)?;
        let mut text =
            vec![0; usize::try_from(length).map_err(|_wide| UnwindError::TooLarge { part: "a page" })?];
        source.read_exact_at(offset, &mut text)?;

        let mut all = Vec::new();
        let mut add = |base: u64, (start, end, overlay): Found| {
            let (start, end) = (base + start as u64, (base + end as u64).min(to));
            if start < end && all.len() < MAX_OVERLAYS {
                all.push((start, end, overlay));
            }
        };
        if !aarch64 {
            synthetic::children(&text).for_each(|found| add(from, found));
        }
        for (gap_from, gap_to) in &self.gaps {
            let code =
                |address: u64| usize::try_from(address.wrapping_sub(from)).ok().and_then(|at| text.get(at..));
            let Some(behind) = code(*gap_from) else { continue };
            let length = usize::try_from(gap_to - gap_from).unwrap_or(0);
            let gap = behind.get(..length).unwrap_or(behind);
            synthetic::sigreturns(gap, aarch64).for_each(|found| add(*gap_from, found));
            let inside = |address: &u64| (gap_from..gap_to).contains(&address);
            if !aarch64 {
                for function in elf.pieced.iter().filter(|address| inside(address)) {
                    for found in code(*function).map_or_else(Vec::new, synthetic::pieced) {
                        add(*function, found);
                    }
                }
                if elf.go {
                    synthetic::go_switches(gap).for_each(|found| add(*gap_from, found));
                }
                if elf.musl {
                    synthetic::musl_starts(gap).for_each(|found| add(*gap_from, found));
                }
                synthetic::linkage(gap, *gap_from).into_iter().for_each(|found| add(*gap_from, found));
            }
            if inside(&elf.entry) {
                let found = code(elf.entry).and_then(|code| synthetic::entry(code, aarch64));
                found.into_iter().for_each(|found| add(elf.entry, found));
            }
        }
        Ok(all)
    }

    /// Replaces the rules of `from..to`.
    fn overlay(&mut self, from: u64, to: u64, overlay: Overlay) {
        let base = self.offset(from) & !(PageRows::SIZE - 1);
        let (from, to) = (self.offset(from) - base, self.offset(to) - base);
        let old = std::mem::replace(&mut self.rows, PageRows::new());
        let mut starts: Vec<u64> = old.rows().iter().map(|row| row.low().into()).chain([from, to]).collect();
        starts.sort_unstable();
        for start in starts {
            let Ok(low) = u16::try_from(start) else { continue };
            let rule = old.rule_at(low);
            let rule = if (from..to).contains(&start) { self.overlaid(rule, overlay) } else { rule };
            self.rows.push(low, rule);
        }
    }

    fn overlaid(&mut self, rule: RuleId, overlay: Overlay) -> RuleId {
        match overlay {
            Overlay::Rule(rule) => self.rules.id(rule),
            Overlay::Child => {
                let rule = match self.rules.rule(rule) {
                    // glibc's clone3 has no entry from its system call on. What follows there is a return, so nothing
                    // lies above the return address.
                    Rule::GAP => Rule::pushed(8),
                    rule => rule,
                };
                let ra = match rule.ra {
                    ReturnAddress::AtCfa => ReturnAddress::AtCfaUnlessChild,
                    other => other,
                };
                self.rules.id(Rule { ra, ..rule })
            }
        }
    }
}
