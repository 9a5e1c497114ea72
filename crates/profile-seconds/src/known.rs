//! Processes whose end is worth a note.

use std::collections::{HashMap, HashSet};

use pdata::{Census, KTime, ProcessKey};

/// Most processes that are remembered: the ends of further ones are not noted.
const MOST: usize = 1 << 16;
/// Seconds for which a process is remembered after it was sampled last.
const SECONDS: u64 = 120;

/// Processes that have been sampled of late, and their ancestors: only their end is worth a note.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The instant at which each process was first sampled, and the last second in which it was.
    processes: HashMap<ProcessKey, (KTime, u64)>,
}

impl Known {
    /// Notes that a process or one of its descendants was sampled.
    pub(crate) fn saw(&mut self, process: ProcessKey, at: KTime, second: u64) {
        if let Some((_, last)) = self.processes.get_mut(&process) {
            *last = second;
        } else if self.processes.len() < MOST {
            self.processes.insert(process, (at, second));
        }
    }

    /// True if the end of a process is worth a note, which it is once.
    pub(crate) fn ends(&mut self, process: ProcessKey) -> bool {
        self.processes.remove(&process).is_some()
    }

    /// The processes that are missing from a list of all processes, and so have ended.
    pub(crate) fn missing(&mut self, census: &Census) -> HashSet<ProcessKey> {
        let found = census.processes.iter().filter(|entry| !entry.exited).map(|entry| entry.process);
        let found: HashSet<_> = found.collect();
        let unidentified: HashSet<_> = census.unidentified.iter().collect();
        let is_missing = |(key, (first, _)): &(&ProcessKey, &(KTime, u64))| {
            // Pid 0 stands for the idle task.
            key.pid.0 != 0
                && *first < census.began
                && !found.contains(key)
                && !unidentified.contains(&key.pid)
        };
        let missing: HashSet<_> = self.processes.iter().filter(is_missing).map(|(&key, _)| key).collect();
        self.processes.retain(|key, _| !missing.contains(key));
        missing
    }

    /// Forgets processes that were last sampled long before `second`.
    pub(crate) fn forget(&mut self, second: u64) {
        self.processes.retain(|_, (_, last)| second.saturating_sub(*last) <= SECONDS);
    }
}
