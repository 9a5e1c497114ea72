//! The unwind tables of this very program, which stand for those of any other.

use std::fs;

use foldhash::HashMap;
use unwind::{PageRows, RuleTable, UnwindFile};

/// A rule as walks read it.
pub(super) type RuleWords = [u32; 4];

/// The unwind tables of this program.
pub(super) struct Program {
    pub(super) bytes: Vec<u8>,
    pub(super) file: UnwindFile,
    rules: RuleTable,
    pages: HashMap<u64, PageRows>,
}

impl Program {
    pub(super) fn new() -> Self {
        let bytes = fs::read("/proc/self/exe").unwrap();
        Self {
            file: UnwindFile::open(&*bytes).unwrap(),
            bytes,
            rules: RuleTable::new(),
            pages: HashMap::default(),
        }
    }

    /// The pages of the program that have code.
    pub(super) fn pages(&self) -> std::ops::Range<u64> {
        let first = self.file.code().iter().map(|segment| segment.offset).min().unwrap();
        first.div_ceil(PageRows::SIZE)..self.file.pages()
    }

    pub(super) fn rule(&mut self, offset: u64) -> RuleWords {
        let page = offset / PageRows::SIZE;
        let page = self
            .pages
            .entry(page)
            .or_insert_with(|| self.file.page(&*self.bytes, page, &mut self.rules).unwrap());
        let rule = page.rule_at((offset % PageRows::SIZE).try_into().unwrap());
        zerocopy::transmute!(self.rules.rule(rule))
    }
}
