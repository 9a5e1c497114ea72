//! Completeness of the answers: samples that are missing, cut or unnamed, and the time and memory that is held.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::query::filter::Groups;
use crate::query::scan::scans;
use crate::query::{Amount, Query};
use crate::store::Store;

/// Samples that are missing, cut or unnamed, and the time and memory that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The amount of all samples that are asked for.
    pub total: Amount,
    /// Number of them with stacks that lack their outer frames.
    pub truncated: u64,
    /// Number of them with an unnamed leaf, or without any frame.
    pub unnamed: u64,
    /// Records lost in the time that is asked for, by reason; the filter does not apply.
    pub lost: Vec<Lost>,
    /// Bytes that the store holds.
    pub bytes: usize,
    /// Most bytes that the store may hold.
    pub max_bytes: usize,
    /// Longest time that the store holds, in milliseconds.
    pub retention: u64,
    /// Start of the time that the store holds, in Unix milliseconds.
    pub held_from: u64,
    /// See `held_from`.
    pub held_until: u64,
    /// True if older samples were dropped for want of memory rather than for their age.
    pub short: bool,
    /// Number of samples that have come since the start.
    pub taken: u64,
    /// Number of those samples that were dropped for want of memory.
    pub dropped: u64,
    /// The unit of values.
    pub unit: String,
    /// True if samples have values.
    pub has_values: bool,
}

/// Records lost for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The reason's name.
    pub reason: String,
    /// Number of records.
    pub count: u64,
    /// True if the records were samples.
    pub samples: bool,
}

/// The status of the samples that a query asks for.
#[must_use]
pub fn status(store: &Store, query: &Query) -> Status {
    let mut status = Status::default();
    let mut lost: BTreeMap<(&str, bool), u64> = BTreeMap::new();
    let query = Query { baseline: None, ..query.clone() };
    scans(store, &query, &mut Groups::default(), |scan| {
        for (_, pattern, count) in scan.counted(&scan.counts()) {
            let amount = scan.sum(pattern, count).now;
            status.total.add(amount);
            status.truncated += if scan.weight(pattern).truncated { amount.samples } else { 0 };
            let is_named = scan.patterns.get(pattern as usize).is_some_and(|row| row.leaf.is_named);
            status.unnamed += if is_named { 0 } else { amount.samples };
        }
    });
    for generation in store.generations() {
        for row in generation.losses.iter().filter(|row| query.span.contains(row.tick)) {
            *lost.entry((generation.texts.get(row.reason), row.is_sample)).or_default() += row.count;
        }
    }
    let lost =
        lost.into_iter().map(|((reason, samples), count)| Lost { reason: reason.to_owned(), count, samples });
    let (limits, held) = (store.limits(), store.held());
    Status {
        lost: lost.collect(),
        bytes: store.bytes(),
        max_bytes: limits.max_bytes,
        retention: u64::from(limits.retention) * 1_000 / u64::from(crate::time::TICKS_PER_SECOND),
        held_from: store.unix_millis(held.from),
        held_until: store.unix_millis(held.until),
        short: store.is_short(),
        taken: store.taken(),
        dropped: store.dropped(),
        unit: store.unit().to_owned(),
        has_values: status.total.value > 0,
        ..status
    }
}
