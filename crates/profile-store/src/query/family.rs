//! What processes and all that descend from them have used.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};
use pdata::ProcessKey;

use crate::block::Block;
use crate::query::filter::Groups;
use crate::query::scan::{Members, Scan, scans};
use crate::query::{Amount, Query};
use crate::store::Store;

/// Most processes that are kept apart while there are some that have ended and have no known descendants: of those the
/// half that has used least goes to its parents. One of them that had samples long before its last ones may be counted
/// twice; what it has used is not.
const MOST_PROCESSES: usize = 1 << 16;

/// What a process has used.
#[derive(Debug, Default)]
pub(crate) struct ProcessSums {
    /// Number of the name of what it runs.
    executable: u32,
    pub parent: Option<ProcessKey>,
    pub own: Amount,
    /// Of itself and all that descend from it.
    pub total: Amount,
    /// How many of those there are, itself included.
    pub count: usize,
    pub children: Vec<ProcessKey>,
    /// What children have used that are not distinguished, and how many they are.
    pub small: (Amount, usize),
}

/// Processes that have used something, and their ancestors.
#[derive(Debug, Default)]
pub(crate) struct Families {
    pub sums: BTreeMap<ProcessKey, ProcessSums>,
    /// What processes without a known parent have used that are not distinguished, and how many they are.
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

    /// How many processes have used something, how many of them are gone, and what they add up to.
    pub(crate) fn sampled(&self, store: &Store) -> (usize, usize, Amount) {
        let (mut total, mut sampled) = self.small;
        self.sums.values().for_each(|process| {
            total.add(process.small.0);
            sampled += process.small.1;
        });
        // Whoever is not distinguished has ended.
        let mut gone = sampled;
        for (key, process) in self.sums.iter().filter(|(_, process)| process.own != Amount::default()) {
            total.add(process.own);
            sampled += 1;
            gone += usize::from(store.is_gone(*key) == Some(true));
        }
        (sampled, gone, total)
    }

    /// Fills in children and what whole families have used. A parent starts before its children, or in the same
    /// instant: a file that says otherwise has no such parent.
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

/// Families while samples are added.
#[derive(Default)]
struct Gathering {
    sums: HashMap<ProcessKey, ProcessSums>,
    small: (Amount, usize),
    executables: Groups,
}

impl Gathering {
    /// Adds what the processes of a block have used, and their ancestors; returns who they are.
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
            // Whoever was here before has been with all ancestors.
            while let Some(process) = next.filter(|process| seen.insert(process.key)) {
                let entry = self.sums.entry(process.key).or_default();
                entry.executable = name(process.executable);
                next = process.parent.and_then(|parent| members.processes.get(parent as usize));
                entry.parent = next.map(|parent| parent.key).or(entry.parent);
            }
        }
        seen
    }

    /// Puts those together that have ended, descend to nobody and are not in the last block, but for so many that have
    /// used most.
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

    /// With room for fewer processes than there were, the small ones are their parent's, and no sample is lost.
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
