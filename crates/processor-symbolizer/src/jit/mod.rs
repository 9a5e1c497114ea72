//! Functions that processes compile at run time, from the lists that their compilers write: `/tmp/perf-PID.map`, with
//! the pid that the process has in its own pid namespace, below its own root. For want of such a list, or if
//! the one that is there is another user's or an earlier process's, a jitdump is read: `jit-PID.dump` in whatever
//! directory, found by the mapping that its process has of it.
//!
//! A list is read while its process lives, and ever again as it grows for as long as samples of the process come: new
//! functions may lie where others were. The list is held open where that is possible, also one that is still empty, so
//! that its rest can be read when the process and its mount namespace are gone: Node.js writes a dump a block at a
//! time, and the last block as it ends.
//!
//! Functions are kept for as long as there is room, since samples of a process may come after its end. Anybody may put
//! files into `/tmp`: a list is read only if it is of a user that the process runs as, no link, and not older than the
//! process. When room is short, the user whose lists take the most makes room; and when the lists of one user have
//! taken much time, they are read by turns.

mod budget;
mod list;
mod process;

use std::time::{Duration, Instant};

use foldhash::HashMap;
use pdata::{ProcessKey, Uid};
use procfs::ProcSource;

use self::budget::Budget;
use self::process::{Jit, ListChange};
use crate::fair::{Holding, Leaving, User};
use crate::metrics;
use crate::request::{Found, Space};

/// The most lists that are held open.
const MAX_OPEN: usize = 64;
/// Time after the last use of a list at which it is not held open any more.
const HOLD_OPEN: Duration = Duration::from_secs(10);

/// The functions of all processes.
#[derive(Debug)]
pub(crate) struct Jits {
    source: ProcSource,
    processes: HashMap<ProcessKey, Jit>,
    bytes: usize,
    max_bytes: usize,
    budget: Budget,
    /// Count of uses.
    now: u64,
}

impl Jits {
    pub(crate) fn new(source: ProcSource, max_bytes: usize) -> Self {
        Self { source, processes: HashMap::default(), bytes: 0, max_bytes, budget: Budget::default(), now: 0 }
    }

    /// True if names of a process can be answered at once: its list needs no reading, or the lists of its user have not
    /// taken much time of late.
    pub(crate) fn is_quick(&self, process: ProcessKey, user: User, now: Instant) -> bool {
        let is_read = |jit: &Jit| !jit.is_due(now) && !jit.has_rest(&self.source, process);
        self.budget.is_left(user, now) || self.processes.get(&process).is_some_and(is_read)
    }

    /// The names of addresses of a process.
    pub(crate) fn names(
        &mut self,
        reader: &mut foreignfile::Files,
        process: ProcessKey,
        user: User,
        addresses: &[u64],
    ) -> Found {
        self.now += 1;
        // No process takes more than half, so that there is room for a second.
        let most = self.max_bytes / 2;
        let jit = self.processes.entry(process).or_insert_with(|| Jit::new(most));
        let (before, was_open) = (jit.counted, jit.is_open());
        (jit.used, jit.used_at) = (self.now, Instant::now());
        let change = jit.read_on(&self.source, reader, process, addresses);
        self.budget.spend(user, Instant::now(), jit.used_at.elapsed());
        let names = addresses.iter().map(|&address| (address, jit.name(address))).collect();
        jit.counted = jit.memory();
        self.bytes = self.bytes + jit.counted - before;
        let has_opened = jit.is_open() && !was_open;
        self.make_room(process);
        if has_opened {
            self.close_some();
        }
        metrics::jit(self.bytes);
        let ListChange { replaced, gained } = change;
        Found { replaced, gained, ..Found::of(Space::Jit(process), Ok(names)) }
    }

    /// Drops processes until the others are within bounds: of the user whose processes take the most, the one used
    /// longest ago. `but` stays unless its user has no other process.
    fn make_room(&mut self, but: ProcessKey) {
        while self.bytes > self.max_bytes {
            let mut by_user: HashMap<u32, usize> = HashMap::default();
            for jit in self.processes.values() {
                *by_user.entry(jit.user).or_default() += jit.counted;
            }
            let Some((&greedy, _)) = by_user.iter().max_by_key(|(_, bytes)| **bytes) else { return };
            let is_alone = self.processes.values().filter(|jit| jit.user == greedy).count() == 1;
            let of_user = self.processes.iter().filter(|(_, jit)| jit.user == greedy);
            let others = of_user.filter(|(process, _)| **process != but || is_alone);
            let Some((&oldest, _)) = others.min_by_key(|(_, jit)| jit.used) else { return };
            self.bytes -= self.processes.remove(&oldest).map_or(0, |jit| jit.counted);
            metrics::evicted("max_memory");
        }
    }

    /// Closes lists until no more than [`MAX_OPEN`] are open: of the user who has the most, the one used longest ago.
    fn close_some(&mut self) {
        let open = self.processes.iter().filter(|(_, jit)| jit.is_open());
        let held = open.map(|(&key, jit)| Holding {
            key,
            user: Some(Uid(jit.user)),
            weight: 1,
            used: jit.used,
            stays: false,
        });
        let held: Vec<_> = held.collect();
        let too_many = held.len().saturating_sub(MAX_OPEN);
        for process in Leaving::of(held).take(too_many) {
            if let Some(jit) = self.processes.get_mut(&process) {
                jit.close();
            }
        }
    }

    /// Lengthens the lives of open lists by `time`, in which the agent was stopped, or frozen as a control group can
    /// be, so that nobody could use a list.
    pub(crate) fn was_stopped(&mut self, time: Duration) {
        for jit in self.processes.values_mut() {
            jit.used_at += time;
        }
    }

    /// Closes lists that have not been used for long. True if some are still open.
    pub(crate) fn close_old(&mut self, now: Instant) -> bool {
        let mut is_open = false;
        for jit in self.processes.values_mut() {
            if now.saturating_duration_since(jit.used_at) >= HOLD_OPEN {
                jit.close();
            }
            is_open |= jit.is_open();
        }
        is_open
    }

    /// Counts `took` as time that reading a user's lists has taken.
    #[cfg(test)]
    pub(crate) fn have_read(&mut self, user: User, took: Duration) {
        self.budget.spend(user, Instant::now(), took);
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize, usize) {
        let counted = self.processes.values().map(|jit| jit.counted).sum::<usize>();
        assert_eq!(counted, self.bytes);
        (self.processes.len(), self.processes.values().filter(|jit| jit.is_open()).count(), self.bytes)
    }
}
