//! Parents of processes, and ends of processes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

use pdata::{Census, KTime, ProcessKey};

use crate::time::Tick;

/// Most processes that a lineage remembers: four times as many as a busy machine runs at once.
const MOST: usize = 65_536;

/// Parents, executables and ends of the processes that run, and of those that ran lately.
///
/// A process that has ended is remembered for as long as one of its descendants is. The number is bounded: beyond
/// [`MOST`], those that ended first are forgotten first; if all are running, new ones have no known parent.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    /// A map with a seeded hasher: users choose how often processes are made, but not what their keys hash to.
    known: HashMap<ProcessKey, Descent>,
    /// Processes that have ended, with the step of the end, earliest first.
    ended: VecDeque<(ProcessKey, Tick)>,
}

/// Facts about one process: its parent, its executable, and whether it has ended.
#[derive(Clone, Debug)]
pub(crate) struct Descent {
    pub parent: Option<ProcessKey>,
    pub executable: Arc<str>,
    pub first_heard: KTime,
    pub ended: bool,
    /// Children that are remembered and counted here: their parent is remembered for as long as they are.
    children: u32,
    /// True if the parent's `children` includes this process.
    is_counted: bool,
    /// True if the process is only remembered because of its children.
    lingers: bool,
}

impl Descent {
    fn new(parent: Option<ProcessKey>, executable: Arc<str>, first_heard: KTime) -> Self {
        Self { parent, executable, first_heard, ended: false, children: 0, is_counted: false, lingers: false }
    }
}

impl Lineage {
    /// Notes a fork: the child runs its parent's executable.
    pub(crate) fn fork(&mut self, child: ProcessKey, parent: ProcessKey, at: KTime) {
        let executable =
            self.known.get(&parent).map(|descent| Arc::clone(&descent.executable)).unwrap_or_default();
        // A thread that makes a process of a process must not become its own parent.
        let parent = Some(parent).filter(|&parent| parent != child);
        self.insert(child, Descent::new(parent, executable, at));
    }

    /// Notes the executable that a process runs.
    pub(crate) fn runs(&mut self, process: ProcessKey, executable: &str, at: KTime) {
        match self.known.get_mut(&process) {
            Some(descent) if *descent.executable == *executable => {}
            Some(descent) => descent.executable = executable.into(),
            None => {
                self.insert(process, Descent::new(None, executable.into(), at));
            }
        }
    }

    /// Notes the parent that a process was found with after its start; a parent that a fork has named stays. The parent
    /// is running at that instant, whether or not another event has named it.
    pub(crate) fn descends(&mut self, child: ProcessKey, parent: ProcessKey, at: KTime) {
        if parent.pid.0 == 0 || parent == child {
            return;
        }
        if !self.known.contains_key(&parent) {
            self.runs(parent, "", at);
        }
        if let Some(descent) = self.known.get_mut(&child).filter(|descent| descent.parent.is_none()) {
            descent.parent = Some(parent);
            self.count_at_parent(child);
        }
    }

    /// Notes the end of a process.
    pub(crate) fn end(&mut self, process: ProcessKey, at: Tick) {
        if let Some(descent) = self.known.get_mut(&process).filter(|descent| !descent.ended) {
            descent.ended = true;
            self.ended.push_back((process, at));
        }
    }

    /// Applies a list of all processes: any process that was known before the listing began and is not in it has ended.
    pub(crate) fn census(&mut self, census: &Census, at: Tick) {
        let found: HashSet<ProcessKey> =
            census.processes.iter().filter(|entry| !entry.exited).map(|entry| entry.process).collect();
        let unidentified: HashSet<_> = census.unidentified.iter().collect();
        let is_missing = |(key, descent): &(&ProcessKey, &Descent)| {
            !descent.ended
                && descent.first_heard < census.began
                && !found.contains(key)
                && !unidentified.contains(&key.pid)
        };
        let missing: Vec<_> = self.known.iter().filter(is_missing).map(|(key, _)| *key).collect();
        missing.into_iter().for_each(|key| self.end(key, at));
        for key in found {
            if !self.known.contains_key(&key) {
                self.runs(key, "", census.at);
            }
        }
    }

    /// Forgets the processes that ended before a step.
    pub(crate) fn forget(&mut self, before: Tick) {
        while self.ended.front().is_some_and(|(_, at)| *at < before) {
            self.forget_first();
        }
    }

    pub(crate) fn get(&self, process: ProcessKey) -> Option<&Descent> {
        self.known.get(&process)
    }

    /// True if a process has ended. A process that is not remembered any more ended long ago.
    pub(crate) fn is_gone(&self, process: ProcessKey) -> bool {
        process.pid.0 != 0 && self.known.get(&process).is_none_or(|descent| descent.ended)
    }

    pub(crate) fn bytes(&self) -> usize {
        // An eighth of a hash table's places is free, and each place has a byte of its own; 48 bytes stand for a name.
        let place = size_of::<(ProcessKey, Descent)>() + 1;
        self.known.capacity() * place * 8 / 7
            + self.known.len() * 48
            + self.ended.capacity() * size_of::<(ProcessKey, Tick)>()
    }

    fn insert(&mut self, process: ProcessKey, descent: Descent) {
        while self.known.len() >= MOST && !self.ended.is_empty() {
            self.forget_first();
        }
        if let Some(before) = self.known.get_mut(&process) {
            // Other events named the process before its start did.
            let (children, lingers) = (before.children, before.lingers);
            let was = std::mem::replace(before, Descent { children, lingers, ..descent });
            self.release_parent_of(&was);
        } else if self.known.len() < MOST {
            self.known.insert(process, descent);
        }
        self.count_at_parent(process);
    }

    /// Counts a child at its parent, if the parent is known: it is remembered until the child is forgotten.
    fn count_at_parent(&mut self, child: ProcessKey) {
        let parent = self.known.get(&child).filter(|descent| !descent.is_counted);
        let parent = parent.and_then(|descent| descent.parent);
        let Some(parent) = parent.and_then(|parent| self.known.get_mut(&parent)) else { return };
        parent.children += 1;
        if let Some(descent) = self.known.get_mut(&child) {
            descent.is_counted = true;
        }
    }

    /// Forgets the process that ended first, unless one of its descendants is remembered.
    fn forget_first(&mut self) {
        let Some((process, _)) = self.ended.pop_front() else { return };
        let Some(descent) = self.known.get_mut(&process) else { return };
        descent.lingers = true;
        if descent.children == 0
            && let Some(gone) = self.known.remove(&process)
        {
            self.release_parent_of(&gone);
        }
    }

    /// Uncounts a forgotten child at its parent, and forgets ancestors that were only remembered because of it.
    fn release_parent_of(&mut self, child: &Descent) {
        let mut next = child.parent.filter(|_| child.is_counted);
        while let Some(key) = next {
            let Some(parent) = self.known.get_mut(&key) else { return };
            parent.children = parent.children.saturating_sub(1);
            if parent.children > 0 || !parent.lingers {
                return;
            }
            next = self.known.remove(&key).and_then(|gone| gone.parent.filter(|_| gone.is_counted));
        }
    }
}

#[cfg(test)]
mod tests {
    use pdata::{BootTime, Pid};

    use super::*;

    fn key(number: u32) -> ProcessKey {
        ProcessKey { pid: Pid(number), start_time: BootTime::from_nanos(1) }
    }

    #[test]
    fn a_storm_of_processes_takes_bounded_room_and_the_living_stay() {
        let mut lineage = Lineage::default();
        lineage.runs(key(1), "/bin/init", KTime::ZERO);
        for number in 2..300_000 {
            lineage.fork(key(number), key(1), KTime::ZERO);
            lineage.end(key(number), number);
        }
        assert!(lineage.known.len() <= MOST);
        assert!(!lineage.is_gone(key(1)));
        assert!(lineage.is_gone(key(2)) && lineage.is_gone(key(299_999)));
        let last = lineage.get(key(299_999)).unwrap();
        assert_eq!((last.parent, &*last.executable), (Some(key(1)), "/bin/init"));
        lineage.forget(u32::MAX);
        assert_eq!(lineage.known.len(), 1);
    }

    /// A job whose shell has ended still descends from what started it; when the job is over, all of it is forgotten.
    #[test]
    fn who_has_ended_is_known_for_as_long_as_a_descendant_is() {
        let mut lineage = Lineage::default();
        lineage.runs(key(1), "/usr/bin/make", KTime::ZERO);
        lineage.fork(key(2), key(1), KTime::ZERO);
        lineage.fork(key(3), key(2), KTime::ZERO);
        lineage.descends(key(3), key(1), KTime::ZERO);
        lineage.end(key(2), 1);
        lineage.end(key(1), 2);
        lineage.forget(100);
        assert_eq!(lineage.get(key(3)).unwrap().parent, Some(key(2)));
        assert_eq!(lineage.get(key(2)).unwrap().parent, Some(key(1)));
        assert!(lineage.is_gone(key(2)) && !lineage.is_gone(key(3)));
        lineage.end(key(3), 200);
        lineage.forget(300);
        assert!(lineage.known.is_empty() && lineage.ended.is_empty());
    }

    #[test]
    fn a_census_ends_whom_it_lacks() {
        let mut lineage = Lineage::default();
        (1..=3).for_each(|number| lineage.runs(key(number), "x", KTime::from_nanos(5)));
        lineage.runs(key(4), "x", KTime::from_nanos(20));
        let entry = |number| pdata::CensusEntry { process: key(number), exited: false };
        let census = Census {
            at: KTime::from_nanos(30),
            began: KTime::from_nanos(10),
            processes: [entry(1), entry(9)].into(),
            unidentified: [Pid(3)].into(),
        };
        lineage.census(&census, 7);
        let gone: Vec<_> =
            [1, 2, 3, 4, 9].into_iter().filter(|&number| lineage.is_gone(key(number))).collect();
        assert_eq!(gone, [2], "3 has not been looked at, 4 came after, 9 is there");
    }
}
