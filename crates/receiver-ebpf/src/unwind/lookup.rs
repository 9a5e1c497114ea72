//! The lookup of a walk in user space: it finds the same rows as walks in the kernel.

use pdata::FileIdentity;
use unwind::{PageRows, Row, Rule};

use super::kernel::Kernel;
use super::tables::{RowsPlace, Tables};

/// The result of a lookup for a byte of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The file has not been read.
    UnknownFile,
    /// The byte's page, of this number, has not been built.
    Unbuilt(u32),
    /// The rule that holds for the byte.
    Rule(Rule),
}

impl<K: Kernel> Tables<K> {
    /// Finds the rule of a byte of a file, as `find_rule` of `ebpf/rows.bpf.h` finds it.
    pub(crate) fn find(&self, file: FileIdentity, offset: u64) -> Found {
        if !self.files.contains_key(&file) {
            return Found::UnknownFile;
        }
        let Some(number) = self.number(file, offset >> PageRows::SHIFT) else {
            return Found::Rule(Rule::GAP);
        };
        match self.built.get(&number) {
            Some(place) => Found::Rule(self.rule_at(*place, offset % PageRows::SIZE)),
            None if self.is_built(number) => Found::Rule(Rule::GAP),
            None => Found::Unbuilt(number),
        }
    }

    /// The rule of the last row at or before a byte of a page.
    fn rule_at(&self, place: RowsPlace, low: u64) -> Rule {
        let (mut from, mut to) = (0, place.rows);
        while to - from > 1 {
            let middle = from.midpoint(to);
            if self.row(place, middle).is_some_and(|row| u64::from(row.low()) <= low) {
                from = middle;
            } else {
                to = middle;
            }
        }
        self.row(place, from).map_or(Rule::GAP, |row| self.rules.table.rule(row.rule()))
    }

    fn row(&self, place: RowsPlace, at: u32) -> Option<Row> {
        let chunk = self.chunks.get(place.chunk as usize)?.as_ref()?;
        Some(Row::from_word(chunk.memory.word_32((place.first + at) as usize)))
    }

    /// All rows of a page.
    pub(super) fn rows(&self, place: RowsPlace) -> Vec<Row> {
        (0..place.rows).filter_map(|at| self.row(place, at)).collect()
    }
}
