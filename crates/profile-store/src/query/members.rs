//! Groups of a query and their amounts, bounded since there may be millions of processes.

use std::cmp::Reverse;

use foldhash::HashMap;

use crate::block::Block;
use crate::frame::base;
use crate::patterns::OriginRow;
use crate::query::filter::{Grouping, Groups};
use crate::query::scan::{Count, Members, Scan, scans};
use crate::query::{Pair, Query};
use crate::records::Record;
use crate::store::Store;

/// Most groups that are kept apart. When there are more, the half that has used least is added to the rest; the amounts
/// of the others are then counted from the start, so that they are exact.
const MOST_GROUPS: usize = 1 << 16;

/// Groups and their amounts.
#[derive(Debug, Default)]
pub(crate) struct GroupSums {
    /// Name and amount of each group, by the group's number.
    pub groups: Vec<(String, Pair)>,
    /// The amount of groups that are not kept apart, and their number.
    pub rest: (Pair, usize),
    /// Numbers of groups of processes; `None` for another grouping.
    processes: Option<ProcessGroups>,
}

impl GroupSums {
    pub(crate) fn of(store: &Store, query: &Query) -> Self {
        if query.grouping == Grouping::Process {
            return of_processes(store, query, MOST_GROUPS);
        }
        let mut all = Self::default();
        let mut names = Groups::default();
        scans(store, query, &mut names, |scan| all.add(scan, &scan.counts()));
        all.with_names(names)
    }

    /// Groups of processes with their amounts, as [`of`](Self::of) returns them; for another grouping an empty value,
    /// which [`add`](Self::add) fills.
    pub(crate) fn begin(store: &Store, query: &Query) -> Self {
        match query.grouping {
            Grouping::Process => of_processes(store, query, MOST_GROUPS),
            _ => Self::default(),
        }
    }

    /// Adds a scan's amount of each group. Groups of processes are complete from the beginning.
    pub(crate) fn add(&mut self, scan: &Scan<'_>, counts: &[Count]) {
        if self.processes.is_some() {
            return;
        }
        for (group, pattern, count) in scan.counted(counts) {
            if self.groups.len() <= group as usize {
                self.groups.resize(group as usize + 1, Default::default());
            }
            if let Some((_, sum)) = self.groups.get_mut(group as usize) {
                sum.add(scan.sum(pattern, count));
            }
        }
    }

    /// Sets the names of the groups of all scans.
    pub(crate) fn with_names(mut self, names: Groups) -> Self {
        if self.processes.is_none() {
            for (number, (name, _)) in (0..).zip(&mut self.groups) {
                names.name(number).clone_into(name);
            }
        }
        self
    }

    /// The amount of all samples.
    pub(crate) fn whole(&self) -> Pair {
        let mut whole = self.rest.0;
        self.groups.iter().for_each(|(_, sum)| whole.add(*sum));
        whole
    }

    /// Calls `each` with group, pattern and number of a scan's samples, apart from samples of the rest.
    pub(crate) fn each(&mut self, scan: &Scan<'_>, counts: &[Count], mut each: impl FnMut(u32, u32, Count)) {
        let Some(processes) = &mut self.processes else {
            scan.counted(counts).for_each(|(group, pattern, count)| each(group, pattern, count));
            return;
        };
        let names = processes.names(scan);
        for block in scan.blocks() {
            processes.each(scan, (block, &names), |numbers, key, record| {
                if let Some(&group) = numbers.get(&key) {
                    each(group, record.pattern, scan.count(record.tick));
                }
            });
        }
    }
}

/// Numbers of groups of processes, by pid and executable.
#[derive(Debug, Default)]
struct ProcessGroups {
    numbers: HashMap<u64, u32>,
    executables: Groups,
}

impl ProcessGroups {
    /// Calls `each` with every sample of a block and the key of its group.
    fn each(
        &self,
        scan: &Scan<'_>,
        (block, names): (Block<'_>, &[u32]),
        mut each: impl FnMut(&HashMap<u64, u32>, u64, Record),
    ) {
        let members = Members::of(block);
        // For each thread, the origin of its last sample, and the key: few threads run one program after the other.
        let mut known = vec![(u32::MAX, 0_u64); members.tasks.len()];
        scan.each(block, true, |_, record| {
            let origin = scan.patterns.get(record.pattern as usize).map_or(0, |row| row.origin);
            let Some(slot) = known.get_mut(record.task as usize) else { return };
            if slot.0 != origin {
                let name = names.get(origin as usize).copied().unwrap_or_default();
                let pid = members.process(record.task).map_or(0, |row| row.key.pid.0);
                *slot = (origin, u64::from(pid) << 32 | u64::from(name));
            }
            each(&self.numbers, slot.1, record);
        });
    }

    /// For each origin of a scan, the number of its executable's name.
    fn names(&mut self, scan: &Scan<'_>) -> Vec<u32> {
        let origins = scan.generation.origins.items().iter();
        let name = |origin: &OriginRow| base(scan.generation.texts.get(origin.executable));
        origins.map(|origin| self.executables.number(name(origin))).collect()
    }

    /// Adds up the amounts of a scan's groups.
    fn add_up(
        &mut self,
        scan: &Scan<'_>,
        sums: &mut HashMap<u64, Pair>,
        is_wanted: impl Fn(&HashMap<u64, u32>, u64) -> bool,
    ) {
        let names = self.names(scan);
        for block in scan.blocks() {
            // Most samples of a process follow one another, so their sum is flushed when the key changes.
            let mut last = (0, Pair::default());
            self.each(scan, (block, &names), |numbers, key, record| {
                if last.0 != key {
                    flush(sums, last);
                    last = (key, Pair::default());
                }
                if is_wanted(numbers, key) {
                    last.1.add(scan.sum(record.pattern, scan.count(record.tick)));
                }
            });
            flush(sums, last);
        }
    }

    fn name(&self, key: u64) -> String {
        let name = u32::try_from(key & u64::from(u32::MAX)).unwrap_or_default();
        format!("{} {}", key >> 32, self.executables.name(name))
    }
}

fn flush(sums: &mut HashMap<u64, Pair>, (key, sum): (u64, Pair)) {
    if !sum.is_none() {
        sums.entry(key).or_default().add(sum);
    }
}

fn of_processes(store: &Store, query: &Query, most: usize) -> GroupSums {
    let (mut names, mut processes) = (Groups::default(), ProcessGroups::default());
    let (mut sums, mut dropped, mut whole) = (HashMap::default(), Distinct::default(), Pair::default());
    scans(store, query, &mut names, |scan| {
        scan.counted(&scan.counts()).for_each(|(_, pattern, count)| whole.add(scan.sum(pattern, count)));
        processes.add_up(scan, &mut sums, |_, _| true);
        if sums.len() > most {
            drop_least(&mut sums, most / 2, &mut dropped);
        }
    });
    let mut keys: Vec<u64> = sums.keys().copied().collect();
    keys.sort_unstable();
    processes.numbers = keys.iter().copied().zip(0..).collect();
    if !dropped.keys.is_empty() {
        sums.clear();
        scans(store, query, &mut names, |scan| {
            processes.add_up(scan, &mut sums, |numbers, key| numbers.contains_key(&key));
        });
    }
    let sum = |key: &u64| sums.get(key).copied().unwrap_or_default();
    let groups: Vec<_> = keys.iter().map(|key| (processes.name(*key), sum(key))).collect();
    let mut told_apart = Pair::default();
    groups.iter().for_each(|(_, sum)| told_apart.add(*sum));
    let rest = (whole.without(told_apart), dropped.count_but(&processes.numbers));
    GroupSums { groups, rest, processes: Some(processes) }
}

/// Removes all but the `keep` groups that have used most.
fn drop_least(sums: &mut HashMap<u64, Pair>, keep: usize, dropped: &mut Distinct) {
    let most = |pair: &Pair| (pair.now.value.max(pair.then.value), pair.now.samples.max(pair.then.samples));
    let mut order: Vec<_> = sums.iter().map(|(key, sum)| (Reverse(most(sum)), *key)).collect();
    order.sort_unstable();
    for (_, key) in order.split_off(order.len().min(keep)) {
        sums.remove(&key);
        dropped.add(key);
    }
}

/// A set of keys, each counted once, of eight bytes a key.
#[derive(Debug, Default)]
struct Distinct {
    keys: Vec<u64>,
    /// Number of keys that are known to be distinct.
    sorted: usize,
}

impl Distinct {
    fn add(&mut self, key: u64) {
        self.keys.push(key);
        if self.keys.len() > 2 * self.sorted.max(MOST_GROUPS) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.sorted = self.keys.len();
    }

    /// Number of distinct keys, without the known ones.
    fn count_but(mut self, known: &HashMap<u64, u32>) -> usize {
        self.sort();
        self.keys.iter().filter(|key| !known.contains_key(key)).count()
    }
}

#[cfg(test)]
mod tests {
    use pdata::{BootTime, Pid, ProcessKey};

    use super::*;
    use crate::time::Span;
    use crate::{Limits, ProcessText, SampleText, TaskText, Weight};

    /// With room for fewer groups than there are, the groups that have used most are exact, and the rest is counted.
    #[test]
    fn groups_that_use_most_are_exact_however_many_there_are() {
        let mut store = Store::new(Limits { max_bytes: 1 << 20, retention: 1_000_000 }, 0);
        let processes = 3_000_u32;
        let samples = |pid: u32| if pid.is_multiple_of(500) { 600 } else { 1 };
        for pid in 1..=processes {
            let key = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(pid.into()) };
            let process = ProcessText { key, executable: "/bin/x" };
            let task = TaskText { process, tid: pid, ..TaskText::default() };
            for at in 0..samples(pid) {
                let weight = Weight { samples: 1, value: 3, ..Weight::default() };
                store.add(&SampleText { tick: pid + at, task, weight, ..SampleText::default() });
            }
        }
        store.finish();
        assert!(
            store.generations().filter(|generation| !generation.is_empty()).count() > 1
                || store.bytes() < 1 << 20
        );
        let query = Query { span: Span::ALL, grouping: Grouping::Process, ..Query::default() };
        let all = of_processes(&store, &query, MOST_GROUPS);
        assert_eq!((all.groups.len(), all.rest), (processes as usize, (Pair::default(), 0)));
        let few = of_processes(&store, &query, 64);
        assert_eq!(few.groups.len() + few.rest.1, processes as usize);
        assert_eq!(few.whole(), all.whole());
        for (name, sum) in all.groups.iter().filter(|(_, sum)| sum.now.samples > 1) {
            let found = few.groups.iter().find(|(other, _)| other == name).unwrap();
            assert_eq!((found.1, sum.now.samples), (*sum, 600), "{name}");
        }
    }
}
