//! The rules that pages refer to, each once.

use foldhash::{HashMap, HashSet};

use crate::{Row, Rule, RuleId};

/// The rules of all files.
///
/// A reader of the shared table needs no lock: the rule that a row refers to stays as it is for as long as the row's
/// page is [counted](Self::count_page). Only [`sweep`](Self::sweep) takes rules out, and only rules that no counted
/// page has.
#[derive(Debug)]
pub struct RuleTable {
    rules: Vec<Rule>,
    ids: HashMap<Rule, RuleId>,
    /// The number of counted pages that have a row of each rule, by the rule's index.
    pages: Vec<u32>,
    /// Ids below the highest that are free again.
    free: Vec<RuleId>,
    /// Rules that [`take_new`](Self::take_new) has not returned yet.
    new: Vec<RuleId>,
    overflows: u64,
}

impl RuleTable {
    /// The most rules there can be: a row has 14 bits for them. All files of a Debian image need 4,447.
    pub const CAPACITY: usize = 1 << 14;

    /// A table of the rules that have fixed ids.
    #[must_use]
    pub fn new() -> Self {
        let (rules, pages, free, new) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut table = Self { rules, ids: HashMap::default(), pages, free, new, overflows: 0 };
        table.id(Rule::GAP);
        table.id(Rule::UNSUPPORTED);
        table
    }

    /// The id of `rule`, which is added if it is new. A full table returns [`RuleId::UNSUPPORTED`] and counts the
    /// overflow.
    pub fn id(&mut self, rule: Rule) -> RuleId {
        if let Some(id) = self.ids.get(&rule) {
            return *id;
        }
        let Some(id) = self.free.pop().or_else(|| self.next_id()) else {
            self.overflows += 1;
            return RuleId::UNSUPPORTED;
        };
        if let Some(place) = self.rules.get_mut(id.index()) {
            *place = rule;
        } else {
            self.rules.push(rule);
            self.pages.push(0);
        }
        self.ids.insert(rule, id);
        self.new.push(id);
        id
    }

    fn next_id(&self) -> Option<RuleId> {
        let id = u16::try_from(self.rules.len()).ok().filter(|_| self.rules.len() < Self::CAPACITY)?;
        Some(RuleId::from_bits(id))
    }

    /// The rule that an id of this table stands for.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Rule {
        self.rules.get(id.index()).copied().unwrap_or(Rule::UNSUPPORTED)
    }

    /// The number of rules in the table.
    #[must_use]
    pub fn used(&self) -> usize {
        self.ids.len()
    }

    /// The number of rules that the table has room for.
    #[must_use]
    pub fn left(&self) -> usize {
        Self::CAPACITY.saturating_sub(self.ids.len())
    }

    /// The number of times that a new rule found the table full.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// The rules that have come since the last call, for those who share the table.
    pub fn take_new(&mut self) -> impl Iterator<Item = (RuleId, Rule)> {
        let new = std::mem::take(&mut self.new);
        new.into_iter().map(|id| (id, self.rule(id)))
    }

    /// Counts a page: its rules stay in the table.
    pub fn count_page(&mut self, rows: impl IntoIterator<Item = Row>) {
        for id in distinct(rows) {
            if let Some(pages) = self.pages.get_mut(id.index()) {
                *pages += 1;
            }
        }
    }

    /// Ends the count of a page that was [counted](Self::count_page), with the same rows.
    pub fn discount_page(&mut self, rows: impl IntoIterator<Item = Row>) {
        for id in distinct(rows) {
            if let Some(pages) = self.pages.get_mut(id.index()) {
                *pages = pages.saturating_sub(1);
            }
        }
    }

    /// Takes the rules out that no counted page has. Must not be called while a page is built that is still to be
    /// counted.
    pub fn sweep(&mut self) {
        let (pages, free) = (&self.pages, &mut self.free);
        self.ids.retain(|_, id| {
            let fixed = matches!(*id, RuleId::GAP | RuleId::UNSUPPORTED);
            let kept = fixed || pages.get(id.index()).is_some_and(|pages| *pages > 0);
            if !kept {
                free.push(*id);
            }
            kept
        });
    }
}

/// The rules of some rows.
fn distinct(rows: impl IntoIterator<Item = Row>) -> HashSet<RuleId> {
    rows.into_iter().map(Row::rule).collect()
}

impl Default for RuleTable {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(number: u16) -> Rule {
        Rule::pushed(8 * i32::from(number) + 16)
    }

    fn rows(ids: &[RuleId]) -> Vec<Row> {
        (0..).zip(ids).map(|(low, id)| Row::new(low, *id)).collect()
    }

    #[test]
    fn a_full_table_takes_rules_again_once_pages_have_gone() {
        let mut table = RuleTable::new();
        let all: Vec<RuleId> = (0..20_000).map(|number| table.id(rule(number))).collect();
        assert_eq!((table.left(), table.used()), (0, RuleTable::CAPACITY));
        assert_eq!(table.overflows(), 20_000 - (RuleTable::CAPACITY as u64 - 2));
        let page = rows(&all[..100]);
        table.count_page(page.iter().copied());
        table.count_page(page.iter().copied());
        table.discount_page(page.iter().copied());
        table.sweep();
        assert_eq!(table.used(), 102, "of the page that is left, and the fixed ones");
        let before = table.take_new().count();
        assert!(before > 0);
        let again = table.id(rule(19_999));
        assert!(again != RuleId::UNSUPPORTED && table.rule(again) == rule(19_999));
        assert_eq!(table.take_new().collect::<Vec<_>>(), [(again, rule(19_999))]);
        assert_eq!(table.id(rule(5)), all[5], "kept");
    }

    proptest! {
        /// Whatever pages come and go: the rules of each that is there are as they were when it came.
        #[test]
        fn rules_of_counted_pages_stay(steps in proptest::collection::vec((0u16..40, 1u16..6, 0u8..4), 1..200)) {
            let mut table = RuleTable::new();
            let mut pages: Vec<(Vec<Row>, Vec<Rule>)> = Vec::new();
            for (first, count, step) in steps {
                match step {
                    0 if !pages.is_empty() => {
                        let (page, _) = pages.swap_remove(usize::from(first) % pages.len());
                        table.discount_page(page);
                    }
                    1 => table.sweep(),
                    _ => {
                        let rules: Vec<Rule> = (first..first + count).map(rule).collect();
                        let ids: Vec<RuleId> = rules.iter().map(|rule| table.id(*rule)).collect();
                        let page = rows(&ids);
                        table.count_page(page.iter().copied());
                        pages.push((page, rules));
                    }
                }
                for (page, rules) in &pages {
                    let found: Vec<Rule> = page.iter().map(|row| table.rule(row.rule())).collect();
                    prop_assert_eq!(&found, rules);
                }
            }
        }
    }
}
