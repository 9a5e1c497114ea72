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
/// Bounded: beyond [`MOST`] those go first that ended first; if all run, new ones have no known parent.
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
}

impl Lineage {
    /// A process was made: it runs what its parent runs.
    pub(crate) fn fork(&mut self, child: ProcessKey, parent: ProcessKey, at: KTime) {
        let executable =
            self.known.get(&parent).map(|descent| Arc::clone(&descent.executable)).unwrap_or_default();
        // A thread that makes a process of a process: never its own parent.
        let parent = Some(parent).filter(|&parent| parent != child);
        self.insert(child, Descent { parent, executable, first_heard: at, ended: false });
    }

    /// A process runs this.
    pub(crate) fn runs(&mut self, process: ProcessKey, executable: &str, at: KTime) {
        match self.known.get_mut(&process) {
            Some(descent) if *descent.executable == *executable => {}
            Some(descent) => descent.executable = executable.into(),
            None => {
                let executable = executable.into();
                self.insert(process, Descent { parent: None, executable, first_heard: at, ended: false });
            }
        }
    }

    /// A process was found to have this parent, after it had begun: what a fork has said holds. The parent runs at that
    /// instant, whether or not anything else has been heard of it.
    pub(crate) fn descends(&mut self, child: ProcessKey, parent: ProcessKey, at: KTime) {
        if parent.pid.0 == 0 || parent == child {
            return;
        }
        if let Some(descent) = self.known.get_mut(&child) {
            descent.parent = descent.parent.or(Some(parent));
        }
        if !self.known.contains_key(&parent) {
            self.runs(parent, "", at);
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
        if self.known.len() < MOST {
            self.known.insert(process, descent);
        }
    }

    fn forget_first(&mut self) {
        if let Some((process, _)) = self.ended.pop_front() {
            self.known.remove(&process);
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
