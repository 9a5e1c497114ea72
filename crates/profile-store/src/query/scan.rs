//! The samples of a generation that a query asks for.

use rustc_hash::FxHashMap;

use crate::generation::Generation;
use crate::query::filter::{Allowed, Groups};
use crate::query::{Pair, Query};
use crate::records::{Record, Weight};

/// Calls `each` with the group, the record and the weight of every sample that the query asks for.
pub(crate) fn scan(
    generation: &Generation,
    query: &Query,
    groups: &mut Groups,
    mut each: impl FnMut(u32, Record, Weight),
) {
    let span = generation.records.span;
    let overlaps = |asked: crate::time::Span| !asked.within(span).is_empty();
    if !overlaps(query.span) && !query.baseline.is_some_and(overlaps) {
        return;
    }
    let allowed = Allowed::of(generation, &query.filter, query.grouping, groups);
    for record in generation.records.iter() {
        if !query.span.contains(record.tick) && !query.baseline.is_some_and(|span| span.contains(record.tick))
        {
            continue;
        }
        if allowed.lets(&record)
            && let Some(&Some(group)) = allowed.tasks.get(record.task as usize)
        {
            each(group, record, generation.weight(record.weight));
        }
    }
}

/// What the samples of each stack add up to, for one group.
#[derive(Debug)]
pub(crate) struct StackSums {
    pub group: u32,
    /// Stacks with samples, by rising number.
    pub sums: Vec<(u32, Pair)>,
}

/// What the samples of each stack add up to, by group.
pub(crate) fn sums(generation: &Generation, query: &Query, groups: &mut Groups) -> Vec<StackSums> {
    let is_one_group = query.grouping == crate::query::Grouping::None;
    if is_one_group {
        let mut dense: Vec<Pair> = vec![Pair::default(); generation.stacks.items().len()];
        scan(generation, query, groups, |_, record, weight| {
            if let Some(sum) = dense.get_mut(record.stack as usize) {
                sum.add(Pair::of(query, record.tick, weight));
            }
        });
        let sums = (0..).zip(dense).filter(|(_, sum)| !sum.is_none());
        return vec![StackSums { group: 0, sums: sums.collect() }];
    }
    let mut sparse: FxHashMap<(u32, u32), Pair> = FxHashMap::default();
    scan(generation, query, groups, |group, record, weight| {
        sparse.entry((group, record.stack)).or_default().add(Pair::of(query, record.tick, weight));
    });
    let mut sorted: Vec<_> = sparse.into_iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let mut all: Vec<StackSums> = Vec::new();
    for ((group, stack), sum) in sorted {
        if all.last().is_none_or(|last| last.group != group) {
            all.push(StackSums { group, sums: Vec::new() });
        }
        if let Some(last) = all.last_mut() {
            last.sums.push((stack, sum));
        }
    }
    all
}
