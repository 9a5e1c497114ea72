//! The rules that walks step by, as walks see them.

use unwind::{Rule, RuleTable};

use crate::memory::SharedMemory;

/// The kernel's words of a rule.
const WORDS: usize = size_of::<Rule>() / size_of::<u32>();
/// Rules that there is to be room for before pages are built: more than any library of a distribution has in all.
const WANTED: usize = RuleTable::CAPACITY / 8;

/// The table of rules, and the memory in which walks find it.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(super) table: RuleTable,
    memory: SharedMemory,
}

impl Rules {
    /// The fixed rules.
    pub(crate) fn new(memory: SharedMemory) -> Self {
        Self { table: RuleTable::new(), memory }
    }

    /// Lets walks have the rules that are new: before a row leads to one.
    pub(crate) fn publish(&mut self) {
        for (id, rule) in self.table.take_new() {
            let words: [u32; WORDS] = zerocopy::transmute!(rule);
            self.memory.write(id.index() * WORDS, words.into_iter());
        }
    }

    /// True if the next pages may have rules that there is no room for, once those of no page are gone.
    pub(crate) fn are_scarce(&mut self) -> bool {
        if self.table.left() < WANTED {
            self.table.sweep();
        }
        self.table.left() < WANTED
    }
}
