//! Whose child a process is, and whether it still runs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem::size_of;
use std::sync::Arc;

use pdata::{Census, KTime, ProcessKey};

use crate::time::Tick;

/// Most processes that are remembered: four times what a busy machine has at once.
const MOST: usize = 65_536;

/// What is known of the processes that run, and of those that have run of late.
///
/// One that has ended is known for as long as one that descends from it is. Bounded: beyond [`MOST`] those go first
/// that ended first; if all run, new ones have no known parent.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    /// Seeded: users choose how often processes are made, but not what their keys hash to.
    known: HashMap<ProcessKey, Descent>,
    /// Those that have ended, in that order, with when.
    ended: VecDeque<(ProcessKey, Tick)>,
}

/// What is known of a process.
#[derive(Clone, Debug)]
pub(crate) struct Descent {
    pub parent: Option<ProcessKey>,
    pub executable: Arc<str>,
    pub first_heard: KTime,
    pub ended: bool,
    /// Children that are known and count here: its own parent stays as long as it does.
    children: u32,
    /// True if its parent counts it.
    is_counted: bool,
    /// True if it is only known for its children.
    lingers: bool,
}

impl Descent {
    fn new(parent: Option<ProcessKey>, executable: Arc<str>, first_heard: KTime) -> Self {
        Self { parent, executable, first_heard, ended: false, children: 0, is_counted: false, lingers: false }
    }
}

impl Lineage {
    /// A process was made: it runs what its parent runs.
    pub(crate) fn fork(&mut self, child: ProcessKey, parent: ProcessKey, at: KTime) {
        let executable =
            self.known.get(&parent).map(|descent| Arc::clone(&descent.executable)).unwrap_or_default();
        // A thread that makes a process of a process: never its own parent.
        let parent = Some(parent).filter(|&parent| parent != child);
        self.insert(child, Descent::new(parent, executable, at));
    }

    /// A process runs this.
    pub(crate) fn runs(&mut self, process: ProcessKey, executable: &str, at: KTime) {
        match self.known.get_mut(&process) {
            Some(descent) if *descent.executable == *executable => {}
            Some(descent) => descent.executable = executable.into(),
            None => {
                self.insert(process, Descent::new(None, executable.into(), at));
            }
        }
    }

    /// A process was found to have this parent, after it had begun: what a fork has said holds. The parent runs at that
    /// instant, whether or not anything else has been heard of it.
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

    /// A process has ended.
    pub(crate) fn end(&mut self, process: ProcessKey, at: Tick) {
        if let Some(descent) = self.known.get_mut(&process).filter(|descent| !descent.ended) {
            descent.ended = true;
            self.ended.push_back((process, at));
        }
    }

    /// These processes there are: any other that was known before the look began has ended.
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

    /// Forgets what ended before.
    pub(crate) fn forget(&mut self, before: Tick) {
        while self.ended.front().is_some_and(|(_, at)| *at < before) {
            self.forget_first();
        }
    }

    pub(crate) fn get(&self, process: ProcessKey) -> Option<&Descent> {
        self.known.get(&process)
    }

    /// True of a process that has ended. Whoever is not known any more has ended long ago.
    pub(crate) fn is_gone(&self, process: ProcessKey) -> bool {
        process.pid.0 != 0 && self.known.get(&process).is_none_or(|descent| descent.ended)
    }

    pub(crate) fn bytes(&self) -> usize {
        // Of a hash table an eighth is free, and each place has a byte of its own; a name is about so long.
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
            // It was heard of by what it did before its start was.
            let (children, lingers) = (before.children, before.lingers);
            let was = std::mem::replace(before, Descent { children, lingers, ..descent });
            self.release_parent_of(&was);
        } else if self.known.len() < MOST {
            self.known.insert(process, descent);
        }
        self.count_at_parent(process);
    }

    /// A parent that is known stays so until this child is forgotten.
    fn count_at_parent(&mut self, child: ProcessKey) {
        let parent = self.known.get(&child).filter(|descent| !descent.is_counted);
        let parent = parent.and_then(|descent| descent.parent);
        let Some(parent) = parent.and_then(|parent| self.known.get_mut(&parent)) else { return };
        parent.children += 1;
        if let Some(descent) = self.known.get_mut(&child) {
            descent.is_counted = true;
        }
    }

    /// Forgets who has ended first, unless someone who descends from it is known.
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

    /// A child is forgotten, and so are ancestors that were only known for it.
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
