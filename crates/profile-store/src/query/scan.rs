//! Samples of one generation that a query asks for.

use std::borrow::Cow;

use crate::block::Block;
use crate::generation::Generation;
use crate::patterns::PatternRow;
use crate::query::filter::{Groups, NOT_ASKED, descendants, groups_of_patterns};
use crate::query::{Pair, Query};
use crate::records::{Record, Weight};
use crate::task::{ProcessRow, TaskRow};
use crate::time::{Span, Tick};

/// Number of samples of a pattern in the span, and number in the baseline.
pub(crate) type Count = [u32; 2];

/// The part of a generation that a query asks for.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub generation: &'a Generation,
    query: &'a Query,
    pub patterns: Cow<'a, [PatternRow]>,
    /// Number of samples of each pattern in the whole generation.
    whole: Cow<'a, [u32]>,
    /// The group of each pattern; [`NOT_ASKED`] for a pattern that the filter does not let through.
    pub groups: Vec<u32>,
}

/// A block's threads and processes.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    pub processes: Cow<'a, [ProcessRow]>,
    pub tasks: Cow<'a, [TaskRow]>,
}

impl<'a> Members<'a> {
    pub(crate) fn of(block: Block<'a>) -> Self {
        let processes = block.processes();
        let tasks = block.tasks(&processes);
        Self { processes, tasks }
    }

    /// The process of a thread.
    pub(crate) fn process(&self, task: u32) -> Option<&ProcessRow> {
        self.processes.get(self.tasks.get(task as usize)?.process as usize)
    }
}

impl<'a> Scan<'a> {
    /// The scan of a generation; `None` if none of its samples is in the query's time.
    pub(crate) fn of(generation: &'a Generation, query: &'a Query, groups: &mut Groups) -> Option<Self> {
        if !overlaps(query, generation.span) {
            return None;
        }
        let (patterns, whole) = generation.patterns.rows();
        let groups = groups_of_patterns(generation, &patterns, (&query.filter, query.grouping), groups);
        Some(Self { generation, query, patterns, whole, groups })
    }

    /// The weight of a sample of this pattern.
    pub(crate) fn weight(&self, pattern: u32) -> Weight {
        let weight = self.patterns.get(pattern as usize).map_or(u32::MAX, |row| row.weight);
        self.generation.weights.items().get(weight as usize).copied().unwrap_or_default()
    }

    /// The amount that `now` and `then` samples of a pattern add up to.
    pub(crate) fn sum(&self, pattern: u32, [now, then]: Count) -> Pair {
        let weight = self.weight(pattern);
        Pair { now: weight.times(now), then: weight.times(then) }
    }

    /// The blocks that overlap the query's span or baseline.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'a>> + '_ {
        self.generation.blocks().filter(|block| overlaps(self.query, block.span()))
    }

    /// For an instant, 1 if it is in the span, and 1 if it is in the baseline.
    pub(crate) fn count(&self, tick: Tick) -> Count {
        let then = self.query.baseline.is_some_and(|span| span.contains(tick));
        [u32::from(self.query.span.contains(tick)), u32::from(then)]
    }

    /// Calls `each` with the group and the record of every sample of a block that is asked for. Without `with_tasks`
    /// the tasks of a packed block may all be 0.
    #[inline]
    pub(crate) fn each(&self, block: Block<'a>, with_tasks: bool, mut each: impl FnMut(u32, Record)) {
        let (span, baseline, cpu) = (self.query.span, self.query.baseline, self.query.filter.cpu);
        let allowed = self.allowed_tasks(block);
        block.each(with_tasks || allowed.is_some(), |record| {
            let group = self.groups.get(record.pattern as usize).copied().unwrap_or(NOT_ASKED);
            let is_in_time =
                span.contains(record.tick) || baseline.is_some_and(|span| span.contains(record.tick));
            let is_asked = group != NOT_ASKED
                && is_in_time
                && cpu.is_none_or(|cpu| cpu == record.cpu)
                && allowed
                    .as_ref()
                    .is_none_or(|tasks| tasks.get(record.task as usize).copied().unwrap_or_default());
            if is_asked {
                each(group, record);
            }
        });
    }

    /// Number of samples of each pattern that are asked for. If the query covers the whole generation, its samples are
    /// not read.
    pub(crate) fn counts(&self) -> Vec<Count> {
        let (filter, span) = (&self.query.filter, self.generation.span);
        let looks_at_samples = filter.cpu.is_some() || filter.process.is_some() || filter.ancestor.is_some();
        let is_all = |asked: Span| asked.covers(span);
        let is_all_or_none = |asked: Span| is_all(asked) || asked.within(span).is_empty();
        if !looks_at_samples
            && is_all_or_none(self.query.span)
            && self.query.baseline.is_none_or(is_all_or_none)
        {
            let times = [is_all(self.query.span), self.query.baseline.is_some_and(is_all)].map(u32::from);
            let of = self.whole.iter().zip(&self.groups);
            return of
                .map(|(&count, &group)| times.map(|times| if group == NOT_ASKED { 0 } else { count * times }))
                .collect();
        }
        let mut counts = vec![[0, 0]; self.patterns.len()];
        for block in self.blocks() {
            self.each(block, false, |_, record| {
                let [now, then] = self.count(record.tick);
                if let Some(count) = counts.get_mut(record.pattern as usize) {
                    *count = [count[0] + now, count[1] + then];
                }
            });
        }
        counts
    }

    /// The patterns with samples that are asked for, each with its group and its number of samples.
    pub(crate) fn counted<'c>(&'c self, counts: &'c [Count]) -> impl Iterator<Item = (u32, u32, Count)> + 'c {
        let of = self.groups.iter().zip(counts).zip(0..);
        of.filter(|((_, count), _)| **count != [0, 0])
            .map(|((&group, &count), pattern)| (group, pattern, count))
    }

    /// For each of a block's threads, true if the filter lets its process through; `None` if it lets all through.
    fn allowed_tasks(&self, block: Block<'a>) -> Option<Vec<bool>> {
        let filter = &self.query.filter;
        if filter.process.is_none() && filter.ancestor.is_none() {
            return None;
        }
        let members = Members::of(block);
        let mut allowed = vec![true; members.processes.len()];
        if let Some(wanted) = filter.process {
            allowed.iter_mut().zip(&*members.processes).for_each(|(is, row)| *is = wanted.has(row.key));
        }
        if let Some(ancestor) = filter.ancestor {
            let descends = descendants(&members.processes, ancestor);
            allowed.iter_mut().zip(descends).for_each(|(is, descends)| *is &= descends);
        }
        let of = |task: &TaskRow| allowed.get(task.process as usize).copied().unwrap_or_default();
        Some(members.tasks.iter().map(of).collect())
    }
}

fn overlaps(query: &Query, span: Span) -> bool {
    let is_in = |asked: Span| !asked.within(span).is_empty();
    is_in(query.span) || query.baseline.is_some_and(is_in)
}

/// Calls `each` with the scan of every generation that overlaps the query's time.
pub(crate) fn scans(
    store: &crate::Store,
    query: &Query,
    groups: &mut Groups,
    mut each: impl FnMut(&Scan<'_>),
) {
    for generation in store.generations() {
        if let Some(scan) = Scan::of(generation, query, groups) {
            each(&scan);
        }
    }
}
