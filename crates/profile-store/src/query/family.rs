//! CPU time of processes, added up over each process and its descendants.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};
use pdata::ProcessKey;

use crate::block::Block;
use crate::query::filter::Groups;
use crate::query::scan::{Members, Scan, scans};
use crate::query::{Amount, Query};
use crate::store::Store;

/// Most processes that are kept apart while some of them have ended and have no known descendants: of those, the half
/// that has used least is added to its parents. A process that was added to its parent before its last samples came may
/// be counted twice; its amount is not.
const MOST_PROCESSES: usize = 1 << 16;

/// The amount of a process and of its descendants.
#[derive(Debug, Default)]
pub(crate) struct ProcessSums {
    /// Number of the name of the process's executable.
    executable: u32,
    pub parent: Option<ProcessKey>,
    pub own: Amount,
    /// The amount of the process and all its descendants.
    pub total: Amount,
    /// Number of processes in `total`, the process itself included.
    pub count: usize,
    pub children: Vec<ProcessKey>,
    /// The amount of children that are not kept apart, and their number.
    pub small: (Amount, usize),
}

/// Processes with samples, and their ancestors.
#[derive(Debug, Default)]
pub(crate) struct Families {
    pub sums: BTreeMap<ProcessKey, ProcessSums>,
    /// The amount of processes without a known parent that are not kept apart, and their number.
    pub small: (Amount, usize),
    executables: Groups,
}

impl Families {
    pub(crate) fn of(store: &Store, query: &Query) -> Self {
        Self::within(store, query, MOST_PROCESSES)
    }

    fn within(store: &Store, query: &Query, most: usize) -> Self {
        let mut gathering = Gathering::default();
        scans(store, query, &mut Groups::default(), |scan| {
            let mut names = vec![None; scan.generation.texts.len()];
            for block in scan.blocks() {
                let now = gathering.add(scan, block, &mut names);
                if gathering.sums.len() > most {
                    gathering.put_together(store, &now, most / 2);
                }
            }
        });
        let Gathering { sums, small, executables } = gathering;
        let mut families = Self { sums: sums.into_iter().collect(), small, executables };
        families.link();
        families
    }

    pub(crate) fn executable(&self, process: &ProcessSums) -> &str {
        self.executables.name(process.executable)
    }

    /// The number of processes with samples, the number of those that have ended, and the amount of all.
    pub(crate) fn sampled(&self, store: &Store) -> (usize, usize, Amount) {
        let (mut total, mut sampled) = self.small;
        self.sums.values().for_each(|process| {
            total.add(process.small.0);
            sampled += process.small.1;
        });
        // Processes that are not kept apart have ended.
        let mut gone = sampled;
        for (key, process) in self.sums.iter().filter(|(_, process)| process.own != Amount::default()) {
            total.add(process.own);
            sampled += 1;
            gone += usize::from(store.is_gone(*key) == Some(true));
        }
        (sampled, gone, total)
    }

    /// Fills in the children and the amounts of whole families. A parent starts before its children, or in the same
    /// instant; a parent that a file declares against that order is ignored.
    fn link(&mut self) {
        let sums = &mut self.sums;
        let mut order: Vec<ProcessKey> = sums.keys().copied().collect();
        let age = |key: &ProcessKey| (key.start_time, key.pid);
        order.sort_by_key(age);
        for key in order.into_iter().rev() {
            let Some(process) = sums.get_mut(&key) else { continue };
            process.total.add(process.own);
            process.total.add(process.small.0);
            process.count += 1 + process.small.1;
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
}

/// Sums of processes while samples are being added.
#[derive(Default)]
struct Gathering {
    sums: HashMap<ProcessKey, ProcessSums>,
    small: (Amount, usize),
    executables: Groups,
}

impl Gathering {
    /// Adds the amounts of a block's processes, with their ancestors; returns the keys of all these.
    fn add(&mut self, scan: &Scan<'_>, block: Block<'_>, names: &mut [Option<u32>]) -> HashSet<ProcessKey> {
        let members = Members::of(block);
        let mut own = vec![Amount::default(); members.processes.len()];
        scan.each(block, true, |_, record| {
            let task = members.tasks.get(record.task as usize);
            if let Some(own) = task.and_then(|task| own.get_mut(task.process as usize)) {
                own.add(scan.sum(record.pattern, scan.count(record.tick)).now);
            }
        });
        let mut seen = HashSet::default();
        let executables = &mut self.executables;
        let mut name = |text: u32| {
            let mut number = || executables.number(scan.generation.texts.get(text));
            names.get_mut(text as usize).map_or(0, |slot| *slot.get_or_insert_with(&mut number))
        };
        for (process, amount) in
            members.processes.iter().zip(&own).filter(|(_, own)| **own != Amount::default())
        {
            self.sums.entry(process.key).or_default().own.add(*amount);
            let mut next = Some(process);
            // A process that is in `seen` was added with all its ancestors.
            while let Some(process) = next.filter(|process| seen.insert(process.key)) {
                let entry = self.sums.entry(process.key).or_default();
                entry.executable = name(process.executable);
                next = process.parent.and_then(|parent| members.processes.get(parent as usize));
                entry.parent = next.map(|parent| parent.key).or(entry.parent);
            }
        }
        seen
    }

    /// Puts processes together that have ended, are nobody's parent and are not in the last block, apart from the
    /// `keep` that have used most.
    fn put_together(&mut self, store: &Store, last: &HashSet<ProcessKey>, keep: usize) {
        let parents: HashSet<ProcessKey> = self.sums.values().filter_map(|process| process.parent).collect();
        let is_over = |key: &ProcessKey| {
            store.is_gone(*key) == Some(true) && !last.contains(key) && !parents.contains(key)
        };
        let over = self.sums.iter().filter(|(key, _)| is_over(key));
        let mut over: Vec<_> =
            over.map(|(key, process)| ((process.own.value, process.own.samples), *key)).collect();
        over.sort_unstable();
        over.truncate(over.len().saturating_sub(keep));
        for (_, key) in over {
            let Some(process) = self.sums.remove(&key) else { continue };
            let parent = process.parent.and_then(|parent| self.sums.get_mut(&parent));
            let small = parent.map_or(&mut self.small, |parent| &mut parent.small);
            small.0.add(process.own);
            small.0.add(process.small.0);
            small.1 += usize::from(process.own != Amount::default()) + process.small.1;
        }
    }
}

#[cfg(test)]
mod tests {
    use pdata::{BootTime, Pid};

    use super::*;
    use crate::time::Span;
    use crate::{Limits, ProcessText, SampleText, TaskText, Weight};

    /// With room for fewer processes than there are, the amounts of small ones are their parent's, and no sample is
    /// lost.
    #[test]
    fn small_processes_that_have_ended_are_put_together() {
        let key = |pid: u32| ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(pid.into()) };
        let mut store = Store::new(Limits { max_bytes: 64 << 20, retention: 1_000_000 }, 0);
        store.follow_processes();
        store.know_process(key(1), "/bin/make", None, None);
        let (processes, mut all) = (100_000_u32, 0_u64);
        for pid in 2..processes {
            store.know_process(key(pid), "/bin/cc1", Some(key(1)), Some(pid / 100));
            let process = ProcessText { key: key(pid), executable: "/bin/cc1" };
            let task = TaskText { process, tid: pid, ..TaskText::default() };
            let samples = if pid == 7_000 { 400 } else { 1 };
            let weight = Weight { samples, value: samples, ..Weight::default() };
            store.add(&SampleText { tick: pid / 100, task, weight, ..SampleText::default() });
            all += samples;
        }
        store.finish();
        let query = Query { span: Span::ALL, ..Query::default() };
        let exact = Families::within(&store, &query, usize::MAX);
        let few = Families::within(&store, &query, 1_000);
        for families in [&exact, &few] {
            let (sampled, _, total) = families.sampled(&store);
            assert_eq!((sampled, total.samples), (processes as usize - 2, all));
            let make = families.sums.get(&key(1)).unwrap();
            assert_eq!((make.total.samples, make.count), (all, processes as usize - 1));
            assert_eq!(families.sums.get(&key(7_000)).unwrap().own.samples, 400);
        }
        assert!(few.sums.len() < 40_000 && exact.sums.len() == processes as usize - 1, "{}", few.sums.len());
    }
}
