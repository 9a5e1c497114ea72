//! The table of known processes, and the times until which they are held.
//!
//! The table is a pure state machine of lifetimes: time comes in as [`KTime`], nothing is read anywhere, and the state
//! that is held for each process is the caller's affair. Each operation costs the logarithm of the number of exited
//! processes at most, whatever the number of live ones: forgetting follows ordered queues.

use std::collections::{BTreeSet, VecDeque};
use std::ops::AddAssign;
use std::time::Duration;

use pdata::{Census, KTime, Pid, ProcessKey, Watermark};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::config::Config;

/// Bytes for which a process counts as one of [`Limits::processes`]: a process that holds more counts as several. Users
/// choose the length of paths.
const BYTES_EACH: usize = Config::EXITED_PROCESS_BYTES;

/// A value that knows how much memory it holds.
pub(crate) trait Footprint {
    /// Bytes that the value holds.
    fn footprint(&self) -> usize;
}

/// Number of processes, of [`Limits::processes`], as which a value of so many bytes counts.
pub(crate) fn units(bytes: usize) -> usize {
    bytes.div_ceil(BYTES_EACH).max(1)
}

/// Bounds on the processes that are held for exporters that do not acknowledge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Number of exited processes, of [`BYTES_EACH`] each.
    pub(crate) processes: usize,
    /// Event time since the exit of a process.
    pub(crate) age: Duration,
}

/// Every process that may still be asked about, with a `T` for each.
///
/// A process goes through the states running -> exited -> freed -> forgotten. A freed process is forgotten once the
/// acked watermark has reached its end; an exited one also when it hits a limit. A process once forgotten stays so: its
/// last records, if they come later still, do not bring it back.
#[derive(Debug)]
pub(crate) struct Table<T> {
    entries: FxHashMap<ProcessKey, Entry<T>>,
    /// The youngest known process of each pid.
    newest: FxHashMap<Pid, ProcessKey>,
    /// Exited processes by exit, oldest first; the freed are among them.
    exits: BTreeSet<(KTime, ProcessKey)>,
    /// Freed processes by the instant at which they may be forgotten.
    releases: BTreeSet<(KTime, ProcessKey)>,
    /// Number of processes as which the exited ones count.
    exited_units: usize,
    forgotten: Forgotten,
    limits: Limits,
}

#[derive(Debug)]
struct Entry<T> {
    /// First instant of the process, if it was seen to begin; else [`KTime::ZERO`].
    began: KTime,
    /// Time at which the process was first heard of.
    heard: KTime,
    life: Life,
    /// Number of processes as which it counts among the exited.
    units: usize,
    held: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Exited(KTime),
    Freed { exit: KTime, until: KTime },
}

impl Life {
    fn exit(self) -> Option<KTime> {
        match self {
            Self::Running => None,
            Self::Exited(exit) | Self::Freed { exit, .. } => Some(exit),
        }
    }
}

/// Outcome of [`Table::enter`].
#[derive(Debug)]
pub(crate) struct Entered<'a, T> {
    /// The state that is held for the process.
    pub(crate) held: &'a mut T,
    /// True if the pid still counted as running: an older process must have ended unseen.
    pub(crate) lost_exit: bool,
}

/// Numbers of exited processes that hit a limit, by the event they waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evicted {
    /// Processes that were too old, and acknowledged: their parents do not reap them.
    pub(crate) unreaped: u64,
    /// Processes that were too old, and not acknowledged.
    pub(crate) age: u64,
    /// Processes that were the oldest among too many.
    pub(crate) processes: u64,
}

impl AddAssign for Evicted {
    fn add_assign(&mut self, other: Self) {
        self.unreaped += other.unreaped;
        self.age += other.age;
        self.processes += other.processes;
    }
}

/// The relation of a new process to the one that had its pid before.
enum Claim {
    Fresh,
    /// The older process was still running, as far as was known.
    LostExit,
    /// The new process is itself the older one, and was over by then.
    Stale(KTime),
}

impl<T: Footprint> Table<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            entries: FxHashMap::default(),
            newest: FxHashMap::default(),
            exits: BTreeSet::new(),
            releases: BTreeSet::new(),
            exited_units: 0,
            forgotten: Forgotten::new(limits.processes),
            limits,
        }
    }

    /// The process, made by `make` if it is not known; `None` if it has been forgotten.
    ///
    /// `at` is the time at which the process was heard of; `began` its first instant, or [`KTime::ZERO`].
    pub(crate) fn enter(
        &mut self,
        key: ProcessKey,
        began: KTime,
        at: KTime,
        make: impl FnOnce() -> T,
    ) -> Option<Entered<'_, T>> {
        let mut lost_exit = false;
        if !self.entries.contains_key(&key) {
            if self.forgotten.contains(key) {
                return None;
            }
            let claim = self.claim_pid(key, at);
            self.entries.insert(key, Entry { began, heard: at, life: Life::Running, units: 0, held: make() });
            if let Claim::Stale(end) = claim {
                self.freed(key, end);
            }
            lost_exit = matches!(claim, Claim::LostExit);
        }
        let held = &mut self.entries.get_mut(&key)?.held;
        Some(Entered { held, lost_exit })
    }

    /// Makes `key` the owner of its pid, unless a younger process is. A pid is assigned again only when its last owner
    /// is gone, so whichever of the two is older is over.
    fn claim_pid(&mut self, key: ProcessKey, at: KTime) -> Claim {
        let Some(&other) = self.newest.get(&key.pid) else {
            self.newest.insert(key.pid, key);
            return Claim::Fresh;
        };
        if other.start_time > key.start_time {
            let began = self.entries.get(&other).map_or(KTime::ZERO, |entry| entry.began);
            return Claim::Stale(if began == KTime::ZERO { at } else { began });
        }
        let lost_exit = self.is_running(other);
        self.newest.insert(key.pid, key);
        self.freed(other, at);
        if lost_exit { Claim::LostExit } else { Claim::Fresh }
    }

    pub(crate) fn get(&self, key: ProcessKey) -> Option<&T> {
        self.entries.get(&key).map(|entry| &entry.held)
    }

    pub(crate) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut T> {
        self.entries.get_mut(&key).map(|entry| &mut entry.held)
    }

    /// Changes the state that is held for every process.
    pub(crate) fn for_each(&mut self, mut change: impl FnMut(ProcessKey, &mut T)) {
        self.entries.iter_mut().for_each(|(&key, entry)| change(key, &mut entry.held));
    }

    /// True if the process is known and has not begun to exit.
    pub(crate) fn is_running(&self, key: ProcessKey) -> bool {
        self.entries.get(&key).is_some_and(|entry| entry.life == Life::Running)
    }

    /// True if the process was known before and is not any more.
    pub(crate) fn has_forgotten(&self, key: ProcessKey) -> bool {
        self.forgotten.contains(key)
    }

    /// Marks a process as exited: its last thread has begun to exit. Nothing happens if that is known already.
    pub(crate) fn exited(&mut self, key: ProcessKey, at: KTime) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.life == Life::Running
        {
            entry.life = Life::Exited(at);
            entry.units = units(entry.held.footprint());
            self.exited_units += entry.units;
            self.exits.insert((at, key));
        }
    }

    /// Marks a process as freed: the kernel has let it go, and stamps none of its events after `at`. An exit that was
    /// not seen is taken to have been then.
    pub(crate) fn freed(&mut self, key: ProcessKey, at: KTime) {
        self.exited(key, at);
        if let Some(entry) = self.entries.get_mut(&key)
            && let Life::Exited(exit) = entry.life
        {
            let until = exit.max(at);
            entry.life = Life::Freed { exit, until };
            self.releases.insert((until, key));
        }
    }

    /// Compares the table with the kernel's processes. A process that the kernel lacks, and that was heard of before
    /// the census began, has ended; one that the kernel has as exited, has exited. Both have happened by the instant of
    /// the census at the latest.
    ///
    /// Returns the number of those processes whose records of it were lost.
    pub(crate) fn reconcile(&mut self, census: &Census) -> u64 {
        let present: FxHashMap<ProcessKey, bool> =
            census.processes.iter().map(|entry| (entry.process, entry.exited)).collect();
        let mut over = Vec::new();
        for (&key, entry) in &self.entries {
            // Idle tasks, of pid 0, are in no list.
            let looked_at = entry.heard <= census.began && key.pid != Pid(0);
            let looked_at = looked_at && !census.unidentified.contains(&key.pid);
            match (present.get(&key), entry.life) {
                _ if !looked_at => {}
                (None, Life::Running | Life::Exited(_)) => over.push((key, true)),
                (Some(true), Life::Running) => over.push((key, false)),
                _ => {}
            }
        }
        for &(key, freed) in &over {
            if freed { self.freed(key, census.at) } else { self.exited(key, census.at) }
        }
        over.len() as u64
    }

    /// Forgets the freed processes whose end the acked watermark has reached.
    pub(crate) fn release(&mut self, acked: Watermark) {
        while let Some(&(until, key)) = self.releases.first()
            && until <= acked.at()
        {
            self.forget(key);
        }
    }

    /// Forgets the processes that hit a limit at `now`, oldest exit first.
    pub(crate) fn evict(&mut self, now: KTime, acked: Watermark) -> Evicted {
        let mut evicted = Evicted::default();
        while let Some(&(exit, key)) = self.exits.first() {
            if exit.saturating_add(self.limits.age) <= now {
                let life = self.entries.get(&key).map(|entry| entry.life);
                let unreaped = life == Some(Life::Exited(exit)) && exit <= acked.at();
                *(if unreaped { &mut evicted.unreaped } else { &mut evicted.age }) += 1;
            } else if self.exited_units > self.limits.processes {
                evicted.processes += 1;
            } else {
                break;
            }
            self.forget(key);
        }
        evicted
    }

    fn forget(&mut self, key: ProcessKey) {
        if let Some(entry) = self.entries.remove(&key) {
            if let Some(exit) = entry.life.exit() {
                self.exits.remove(&(exit, key));
                self.exited_units = self.exited_units.saturating_sub(entry.units);
            }
            if let Life::Freed { until, .. } = entry.life {
                self.releases.remove(&(until, key));
            }
        }
        if self.newest.get(&key.pid) == Some(&key) {
            self.newest.remove(&key.pid);
        }
        self.forgotten.push(key);
    }

    #[cfg(test)]
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values().map(|entry| &entry.held)
    }

    /// Number of known processes.
    pub(crate) fn known(&self) -> usize {
        self.entries.len()
    }

    /// Number of processes that have exited and are not forgotten.
    pub(crate) fn held(&self) -> usize {
        self.exits.len()
    }
}

/// The processes that were forgotten last: enough of them to recognize their late records.
#[derive(Debug)]
struct Forgotten {
    keys: FxHashSet<ProcessKey>,
    order: VecDeque<ProcessKey>,
    limit: usize,
}

impl Forgotten {
    fn new(limit: usize) -> Self {
        Self { keys: FxHashSet::default(), order: VecDeque::new(), limit }
    }

    fn contains(&self, key: ProcessKey) -> bool {
        self.keys.contains(&key)
    }

    fn push(&mut self, key: ProcessKey) {
        if self.keys.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests;
