//! Functions that processes compile at run time, by the lists that their compilers write: `/tmp/perf-PID.map`, with the
//! pid that the process has in its own pid namespace, below its own root.
//!
//! A list is read while its process lives, and ever again as it grows for as long as samples of the process come: new
//! functions may lie where others were. It is held open where that is possible, so that its rest can be read when the
//! process and its mount namespace are gone. What was read is kept for as long as there is room, since samples of a
//! process may come after its end. Anybody may put something into `/tmp`: a list is read only if it is of a user that
//! the process runs as, and no link; and what one user's lists take, others' lists do not make room for.

mod list;
mod process;

use foldhash::HashMap;
use pdata::{ProcessKey, Uid};
use procfs::ProcSource;

use self::process::Jit;
use crate::fair::{Holding, Leaving};
use crate::metrics;
use crate::request::{Found, Space};

/// Lists that are held open at most.
const MAX_OPEN: usize = 64;

/// The functions of all processes.
#[derive(Debug)]
pub(crate) struct Jits {
    source: ProcSource,
    processes: HashMap<ProcessKey, Jit>,
    bytes: usize,
    max_bytes: usize,
    /// Counts uses.
    now: u64,
}

impl Jits {
    pub(crate) fn new(source: ProcSource, max_bytes: usize) -> Self {
        Self { source, processes: HashMap::default(), bytes: 0, max_bytes, now: 0 }
    }

    /// The names of addresses of a process.
    pub(crate) fn names(
        &mut self,
        reader: &mut foreignfile::Files,
        process: ProcessKey,
        addresses: &[u64],
    ) -> Found {
        self.now += 1;
        // No process takes more than half, so that there is room for a second.
        let most = self.max_bytes / 2;
        let jit = self.processes.entry(process).or_insert_with(|| Jit::new(most));
        let (before, was_open) = (jit.counted, jit.is_open());
        jit.used = self.now;
        let replaced = jit.read_on(&self.source, reader, process);
        let names = addresses.iter().map(|&address| (address, jit.name(address))).collect();
        jit.counted = jit.memory();
        self.bytes = self.bytes + jit.counted - before;
        let has_opened = jit.is_open() && !was_open;
        self.make_room(process);
        if has_opened {
            self.close_some();
        }
        metrics::jit(self.bytes);
        Found { space: Space::Jit(process), replaced, names: Ok(names) }
    }

    /// Drops processes until the others are within bounds: of the user whose processes take the most, the one used
    /// longest ago. `but` stays unless it is alone.
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

    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize, usize) {
        let counted = self.processes.values().map(|jit| jit.counted).sum::<usize>();
        assert_eq!(counted, self.bytes);
        (self.processes.len(), self.processes.values().filter(|jit| jit.is_open()).count(), self.bytes)
    }
}
