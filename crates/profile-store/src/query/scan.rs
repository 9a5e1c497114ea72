//! The samples of a generation that a query asks for.

use crate::generation::Generation;
use crate::query::filter::{Allowed, Groups};
use crate::query::{Amount, Pair, Query};
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
    // By group and stack, as one number: few groups have many samples, so it is mostly sorted.
    let mut keys: Vec<(u64, u32, bool, bool)> = Vec::new();
    let mut dense: Vec<Pair> = vec![Pair::default(); generation.stacks.items().len()];
    let is_one_group = query.grouping == crate::query::Grouping::None;
    scan(generation, query, groups, |group, record, weight| {
        if is_one_group {
            if let Some(sum) = dense.get_mut(record.stack as usize) {
                sum.add(Pair::of(query, record.tick, weight));
            }
        } else {
            let pair = Pair::of(query, record.tick, Weight { samples: 1, value: 1, ..weight });
            let key = u64::from(group) << 32 | u64::from(record.stack);
            keys.push((key, record.weight, pair.now.samples > 0, pair.then.samples > 0));
        }
    });
    if is_one_group {
        let sums = (0..).zip(dense).filter(|(_, sum)| !sum.is_none());
        return vec![StackSums { group: 0, sums: sums.collect() }];
    }
    keys.sort_unstable_by_key(|key| key.0);
    let mut all: Vec<StackSums> = Vec::new();
    for (key, weight, now, then) in keys {
        let (group, stack) = (
            u32::try_from(key >> 32).unwrap_or_default(),
            u32::try_from(key & 0xffff_ffff).unwrap_or_default(),
        );
        if all.last().is_none_or(|last| last.group != group) {
            all.push(StackSums { group, sums: Vec::new() });
        }
        let Some(last) = all.last_mut() else { continue };
        if last.sums.last().is_none_or(|(other, _)| *other != stack) {
            last.sums.push((stack, Pair::default()));
        }
        let weight = generation.weight(weight);
        let amount = Amount { samples: weight.samples, value: weight.value };
        let part = |is: bool| if is { amount } else { Amount::default() };
        if let Some((_, sum)) = last.sums.last_mut() {
            sum.add(Pair { now: part(now), then: part(then) });
        }
    }
    all
}
