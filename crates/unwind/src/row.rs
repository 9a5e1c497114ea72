//! The rows of one page, each of which names a rule and the first byte that it holds for.

use zerocopy::{Immutable, IntoBytes};

use crate::RuleId;

/// A rule and the first byte of a page that it holds for: the byte in bits 0-15, the rule in bits 16-29, two bits
/// spare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, IntoBytes, Immutable)]
#[repr(transparent)]
pub struct Row(u32);

impl Row {
    /// A row of the lower 16 bits of the file offset from which the rule holds, and the rule.
    #[must_use]
    pub fn new(low: u16, rule: RuleId) -> Self {
        Self(u32::from(low) | u32::from(rule.bits()) << 16)
    }

    /// The row that a word of shared memory holds.
    #[must_use]
    pub fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The lower 16 bits of the file offset from which the rule holds.
    #[must_use]
    pub fn low(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The rule of the row.
    #[must_use]
    pub fn rule(self) -> RuleId {
        RuleId::from_bits(((self.0 >> 16) & 0x3fff) as u16)
    }
}

/// The rows of 64 KiB of a file, by offset. The first row is always at byte 0, so that nothing depends on the page
/// before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRows {
    rows: Vec<Row>,
}

impl PageRows {
    /// The bytes of file offset that a page covers, as a power of two.
    pub const SHIFT: u32 = 16;
    /// The bytes of file offset that a page covers.
    pub const SIZE: u64 = 1 << Self::SHIFT;

    pub(crate) fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// A page put together from rows of other places, behind a gap. Rows that do not ascend are left out.
    #[must_use]
    pub fn from_rows(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut page = Self::new();
        page.push(0, RuleId::GAP);
        for row in rows {
            if page.rows.last().is_none_or(|last| last.low() <= row.low()) {
                page.push(row.low(), row.rule());
            }
        }
        page
    }

    /// Adds the row by which `rule` holds from byte `low` on. Calls come in ascending order of `low`; the last one for
    /// a byte wins.
    pub(crate) fn push(&mut self, low: u16, rule: RuleId) {
        if let [.., last] = self.rows.as_mut_slice()
            && last.low() == low
        {
            self.rows.pop();
        }
        if self.rows.last().is_none_or(|last| last.rule() != rule) {
            self.rows.push(Row::new(low, rule));
        }
    }

    /// The rows, ascending, never empty.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// True if no table covers any byte of the page.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        matches!(self.rows.as_slice(), [only] if only.rule() == RuleId::GAP)
    }

    /// The rule of a byte of the page.
    #[must_use]
    pub fn rule_at(&self, low: u16) -> RuleId {
        let after = self.rows.partition_point(|row| row.low() <= low);
        after.checked_sub(1).and_then(|at| self.rows.get(at)).map_or(RuleId::GAP, |row| row.rule())
    }
}
