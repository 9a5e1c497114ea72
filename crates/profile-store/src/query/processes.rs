//! Processes, those that are gone included, as a tree with sums.

use std::collections::BTreeMap;

use foldhash::HashMap;
use pdata::ProcessKey;
use serde::Serialize;

use crate::query::filter::{Grouping, Groups};
use crate::query::scan::scan;
use crate::query::{Amount, Pair, Query, SMALLEST_PART};
use crate::store::{MOST_ANCESTORS, Store};

/// Processes that used something, and their ancestors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Processes {
    /// A process comes right after its parent, or after what is below the sibling before it.
    pub rows: Vec<ProcessEntry>,
    /// Processes that were sampled.
    pub sampled: usize,
    /// Those of them that are gone.
    pub gone: usize,
    /// What all samples add up to.
    pub total: Amount,
}

/// A process, or those of its children that are too small to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProcessEntry {
    /// How many of its ancestors are above it.
    pub depth: u32,
    /// Its pid; 0 for several.
    pub pid: u32,
    /// Its start, nanoseconds since boot: text, since it may be more than a browser's numbers hold.
    pub start: String,
    /// What it runs.
    pub executable: String,
    /// Whether it has ended; `None` if that is not known.
    pub gone: Option<bool>,
    /// How many processes it stands for.
    pub count: usize,
    /// Of itself.
    pub own: Amount,
    /// Of itself and all that descend from it.
    pub total: Amount,
}

#[derive(Default)]
struct ProcessSums {
    executable: String,
    parent: Option<ProcessKey>,
    own: Amount,
    total: Amount,
    count: usize,
    children: Vec<ProcessKey>,
}

/// Processes that used something, whatever the baseline.
#[must_use]
pub fn processes(store: &Store, query: &Query) -> Processes {
    let query = Query { baseline: None, grouping: Grouping::None, ..query.clone() };
    let mut sums = collect(store, &query);
    let sampled = sums.values().filter(|process| process.own != Amount::default());
    let (mut total, mut count) = (Amount::default(), 0);
    sampled.for_each(|process| {
        total.add(process.own);
        count += 1;
    });
    let is_gone = |key: &ProcessKey| store.is_gone(*key) == Some(true);
    let gone = sums.iter().filter(|(key, process)| process.own != Amount::default() && is_gone(key)).count();
    link(&mut sums);
    Processes { rows: rows(store, &sums, total), sampled: count, gone, total }
}

/// What each process has used, and its ancestors.
fn collect(store: &Store, query: &Query) -> BTreeMap<ProcessKey, ProcessSums> {
    let mut sums: BTreeMap<ProcessKey, ProcessSums> = BTreeMap::new();
    for generation in store.generations() {
        let mut own: HashMap<u32, Amount> = HashMap::default();
        scan(generation, query, &mut Groups::default(), |_, record, weight| {
            own.entry(record.task).or_default().add(Pair::of(query, record.tick, weight).now);
        });
        let processes = generation.processes.items();
        for (task, amount) in own {
            let Some(task) = generation.tasks.items().get(task as usize) else { continue };
            let Some(mut process) = processes.get(task.process as usize) else { continue };
            sums.entry(process.key).or_default().own.add(amount);
            for _ in 0..MOST_ANCESTORS {
                let entry = sums.entry(process.key).or_default();
                generation.texts.get(process.executable).clone_into(&mut entry.executable);
                let Some(parent) = process.parent.and_then(|parent| processes.get(parent as usize)) else {
                    break;
                };
                entry.parent = Some(parent.key);
                process = parent;
            }
        }
    }
    sums
}

/// Fills in children and what whole families have used. A parent starts before its children, or in the same instant:
/// a file that says otherwise has no such parent.
fn link(sums: &mut BTreeMap<ProcessKey, ProcessSums>) {
    let mut order: Vec<ProcessKey> = sums.keys().copied().collect();
    let age = |key: &ProcessKey| (key.start_time, key.pid);
    order.sort_by_key(age);
    for key in order.into_iter().rev() {
        let Some(process) = sums.get_mut(&key) else { continue };
        process.total.add(process.own);
        process.count += 1;
        let parent = process.parent.filter(|parent| age(parent) < age(&key));
        process.parent = parent;
        let (total, count) = (process.total, process.count);
        if let Some(parent) = parent.and_then(|parent| sums.get_mut(&parent)) {
            parent.total.add(total);
            parent.count += count;
            parent.children.push(key);
        }
    }
}

fn rows(store: &Store, sums: &BTreeMap<ProcessKey, ProcessSums>, whole: Amount) -> Vec<ProcessEntry> {
    let total = |key: &ProcessKey| sums.get(key).map(|process| process.total).unwrap_or_default();
    let is_shown = |key: &ProcessKey| {
        Pair { now: total(key), ..Pair::default() }
            .is_part(Pair { now: whole, ..Pair::default() }, SMALLEST_PART)
    };
    let roots = sums.iter().filter(|(_, process)| process.parent.is_none()).map(|(key, _)| *key);
    let mut rows = Vec::new();
    let mut pending = siblings(roots.collect(), 0, total, is_shown, &mut rows);
    while let Some((key, depth)) = pending.pop() {
        let Some(process) = sums.get(&key) else { continue };
        rows.push(ProcessEntry {
            depth,
            pid: key.pid.0,
            start: key.start_time.as_nanos().to_string(),
            executable: process.executable.clone(),
            gone: store.is_gone(key),
            count: process.count,
            own: process.own,
            total: process.total,
        });
        pending.extend(siblings(process.children.clone(), depth + 1, total, is_shown, &mut rows));
    }
    rows
}

/// Those of the siblings that are shown, the one with most last; the others are added as one row.
fn siblings(
    keys: Vec<ProcessKey>,
    depth: u32,
    total: impl Fn(&ProcessKey) -> Amount,
    is_shown: impl Fn(&ProcessKey) -> bool,
    rows: &mut Vec<ProcessEntry>,
) -> Vec<(ProcessKey, u32)> {
    let (mut shown, rest): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_shown);
    if !rest.is_empty() {
        let mut sum = Amount::default();
        rest.iter().for_each(|key| sum.add(total(key)));
        let executable = format!("other ({})", rest.len());
        rows.push(ProcessEntry {
            depth,
            executable,
            count: rest.len(),
            own: sum,
            total: sum,
            ..ProcessEntry::default()
        });
    }
    shown.sort_by_key(|key| (total(key).value, total(key).samples));
    shown.into_iter().map(|key| (key, depth)).collect()
}
