//! The CPU time and the memory that the agent itself uses.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use pdata::KTime;
use procfs::own::{self, OwnMemory};
use procfs::{clock, text};
use profile_seconds::{AgentUse, ThreadUse};

const OWN_THREADS: &str = "/proc/self/task";

/// Measures the agent's CPU time and memory, from one measurement to the next.
#[derive(Debug)]
pub(crate) struct Cost {
    at: KTime,
    cpu: Duration,
    /// CPU time of each thread, in nanoseconds.
    threads: BTreeMap<u32, u64>,
}

impl Cost {
    pub(crate) fn new() -> Self {
        let threads = own_threads().map(|thread| (thread.tid, thread.cpu)).collect();
        Self { at: clock::now(), cpu: own::cpu_time(), threads }
    }

    /// The agent's use since the last measurement, and the nanoseconds between both.
    pub(crate) fn measure(&mut self) -> (AgentUse, u64) {
        let before = std::mem::replace(
            self,
            Self { at: clock::now(), cpu: own::cpu_time(), threads: BTreeMap::new() },
        );
        let passed = self.at.as_nanos().saturating_sub(before.at.as_nanos());
        let mut threads = BTreeMap::<String, (u64, u64)>::new();
        for Thread { tid, name, cpu } in own_threads() {
            let used = cpu.saturating_sub(before.threads.get(&tid).copied().unwrap_or_default());
            self.threads.insert(tid, cpu);
            let (count, sum) = threads.entry(name).or_default();
            *count += 1;
            *sum += used;
        }
        let threads = threads.into_iter().map(|(name, (threads, used))| ThreadUse {
            name: name.into(),
            threads,
            cpu_permille: permille(used, passed),
        });
        let agent = AgentUse {
            cpu_permille: permille(nanos(self.cpu.saturating_sub(before.cpu)), passed),
            memory_bytes: OwnMemory::now().map_or(0, |memory| memory.resident),
            threads: threads.collect(),
        };
        (agent, passed)
    }
}

/// A part of a whole, in thousandths.
pub(crate) fn permille(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 1_000 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

struct Thread {
    tid: u32,
    name: String,
    cpu: u64,
}

/// The threads of this process; a thread that ends while it is read is left out.
fn own_threads() -> impl Iterator<Item = Thread> {
    let entries = fs::read_dir(OWN_THREADS).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let tid = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read(entry.path().join("comm")).ok()?;
        let cpu = text::on_cpu(&fs::read(entry.path().join("schedstat")).ok()?)?;
        Some(Thread { tid, name: String::from_utf8_lossy(name.trim_ascii_end()).into_owned(), cpu })
    })
}

#[cfg(test)]
mod tests {
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    #[test]
    fn what_this_process_does_is_seen() {
        let mut cost = Cost::new();
        // Only this thread is measured: other tests of this process use CPU time meanwhile.
        let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let began = used();
        while used() - began < Duration::from_millis(20) {}
        let (agent, passed) = cost.measure();
        assert!(agent.cpu_permille > 0 && agent.memory_bytes > 1 << 20 && passed >= 20_000_000, "{agent:?}");
        let own = agent.threads.iter().map(|thread| thread.cpu_permille).max();
        assert!(own > Some(0), "{agent:?}");
        assert_eq!((permille(1, 8), permille(1, 0), permille(0, 0)), (125, 1_000, 0));
    }
}
