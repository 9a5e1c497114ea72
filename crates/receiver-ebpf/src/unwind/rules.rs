//! The shared table of rules, by which walks step.

use unwind::{Rule, RuleTable};

use crate::memory::SharedMemory;

/// Words of 32 bits in the kernel's form of a rule.
const WORDS: usize = size_of::<Rule>() / size_of::<u32>();
/// Rules for which there is to be room before pages are built: more than any library of a distribution has in all.
const WANTED: usize = RuleTable::CAPACITY / 8;

/// The table of rules, and the memory in which walks find it.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(super) table: RuleTable,
    memory: SharedMemory,
}

impl Rules {
    /// A table of the fixed rules alone.
    pub(crate) fn new(memory: SharedMemory) -> Self {
        Self { table: RuleTable::new(), memory }
    }

    /// Lets walks find the rules that are new; called before a row leads to one.
    pub(crate) fn publish(&mut self) {
        for (id, rule) in self.table.take_new() {
            let words: [u32; WORDS] = zerocopy::transmute!(rule);
            self.memory.write(id.index() * WORDS, words.into_iter());
        }
    }

    /// True if the next pages may have rules that there is no room for, even once the rules of no page are gone.
    pub(crate) fn are_scarce(&mut self) -> bool {
        if self.table.left() < WANTED {
            self.table.sweep();
        }
        self.table.left() < WANTED
    }
}
