//! Processes as a tree with amounts, including processes that have ended.

use pdata::ProcessKey;
use serde::Serialize;

use crate::query::family::{Families, ProcessSums};
use crate::query::filter::Grouping;
use crate::query::{Amount, Pair, Query, SMALLEST_PART};
use crate::store::Store;

/// Processes with samples, and their ancestors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Processes {
    /// The processes: each comes right after its parent, or after the descendants of the sibling before it.
    pub rows: Vec<ProcessEntry>,
    /// Number of processes that have samples.
    pub sampled: usize,
    /// Number of those processes that have ended.
    pub gone: usize,
    /// The amount of all samples.
    pub total: Amount,
}

/// A process, or all those children of a process that are too small to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProcessEntry {
    /// Number of ancestors above the process.
    pub depth: u32,
    /// The process's pid; 0 for several processes.
    pub pid: u32,
    /// The process's start, nanoseconds since boot: text, since it may be more than a browser's numbers hold.
    pub start: String,
    /// The executable that the process runs.
    pub executable: String,
    /// Whether the process has ended; `None` if that is not known.
    pub gone: Option<bool>,
    /// Number of processes that the entry stands for.
    pub count: usize,
    /// The amount of the process itself.
    pub own: Amount,
    /// The amount of the process and all its descendants.
    pub total: Amount,
}

/// The processes that a query asks for; its baseline does not apply.
#[must_use]
pub fn processes(store: &Store, query: &Query) -> Processes {
    let query = Query { baseline: None, grouping: Grouping::None, ..query.clone() };
    let families = Families::of(store, &query);
    let (sampled, gone, total) = families.sampled(store);
    Processes { rows: rows(store, &families, total), sampled, gone, total }
}

fn rows(store: &Store, families: &Families, whole: Amount) -> Vec<ProcessEntry> {
    let roots = families.sums.iter().filter(|(_, process)| process.parent.is_none()).map(|(key, _)| *key);
    let mut rows = Vec::new();
    let mut pending = siblings(families, roots.collect(), families.small, 0, whole, &mut rows);
    while let Some((key, depth)) = pending.pop() {
        let Some(process) = families.sums.get(&key) else { continue };
        rows.push(ProcessEntry {
            depth,
            pid: key.pid.0,
            start: key.start_time.as_nanos().to_string(),
            executable: families.executable(process).to_owned(),
            gone: store.is_gone(key),
            count: process.count,
            own: process.own,
            total: process.total,
        });
        let children = process.children.clone();
        pending.extend(siblings(families, children, process.small, depth + 1, whole, &mut rows));
    }
    rows
}

/// The siblings that are shown, the one that has used most last. The others are pushed as one row, together with those
/// that had been put together before.
fn siblings(
    families: &Families,
    keys: Vec<ProcessKey>,
    small: (Amount, usize),
    depth: u32,
    whole: Amount,
    rows: &mut Vec<ProcessEntry>,
) -> Vec<(ProcessKey, u32)> {
    let of = |key: &ProcessKey| families.sums.get(key);
    let total = |key: &ProcessKey| of(key).map(|process: &ProcessSums| process.total).unwrap_or_default();
    let is_shown = |key: &ProcessKey| {
        Pair { now: total(key), ..Pair::default() }
            .is_part(Pair { now: whole, ..Pair::default() }, SMALLEST_PART)
    };
    let (mut shown, rest): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_shown);
    let (mut sum, count) = (small.0, small.1 + rest.len());
    if count > 0 {
        rest.iter().for_each(|key| sum.add(total(key)));
        let executable = format!("other ({count})");
        rows.push(ProcessEntry { depth, executable, count, own: sum, total: sum, ..ProcessEntry::default() });
    }
    shown.sort_by_key(|key| (total(key).value, total(key).samples));
    shown.into_iter().map(|key| (key, depth)).collect()
}
