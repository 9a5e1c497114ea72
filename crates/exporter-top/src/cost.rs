//! What the agent itself costs.

use std::collections::BTreeMap;
use std::fs;

use pdata::KTime;
use procfs::{clock, text};
use profile_seconds::{AgentUse, ThreadUse};
use rustix::time::{ClockId, Timespec, clock_gettime};

const OWN_THREADS: &str = "/proc/self/task";

/// Measures what the agent costs, from one measurement to the next.
#[derive(Debug)]
pub(crate) struct Cost {
    at: KTime,
    cpu: u64,
    /// CPU time of each thread.
    threads: BTreeMap<u32, u64>,
}

impl Cost {
    pub(crate) fn new() -> Self {
        let threads = own_threads().map(|thread| (thread.tid, thread.cpu)).collect();
        Self { at: clock::now(), cpu: cpu_nanos(), threads }
    }

    /// What the agent has cost since the last measurement, and the nanoseconds that it is of.
    pub(crate) fn measure(&mut self) -> (AgentUse, u64) {
        let before =
            std::mem::replace(self, Self { at: clock::now(), cpu: cpu_nanos(), threads: BTreeMap::new() });
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
            cpu_permille: permille(self.cpu.saturating_sub(before.cpu), passed),
            memory_bytes: resident().unwrap_or_default(),
            threads: threads.collect(),
        };
        (agent, passed)
    }
}

/// Thousandths that a part is of a whole.
pub(crate) fn permille(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 1_000 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

struct Thread {
    tid: u32,
    name: String,
    cpu: u64,
}

/// The threads of this process. What cannot be read of one that ends meanwhile is left out.
fn own_threads() -> impl Iterator<Item = Thread> {
    let entries = fs::read_dir(OWN_THREADS).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let tid = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read(entry.path().join("comm")).ok()?;
        let cpu = text::on_cpu(&fs::read(entry.path().join("schedstat")).ok()?)?;
        Some(Thread { tid, name: String::from_utf8_lossy(name.trim_ascii_end()).into_owned(), cpu })
    })
}

/// CPU time of this process.
fn cpu_nanos() -> u64 {
    nanos(clock_gettime(ClockId::ProcessCPUTime))
}

fn nanos(time: Timespec) -> u64 {
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}

/// Bytes of memory that this process has.
fn resident() -> Option<u64> {
    let pages = text::pages(&fs::read("/proc/self/statm").ok()?)?;
    Some(u64::from(pages.resident).saturating_mul(u64::try_from(rustix::param::page_size()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_does_is_seen() {
        let mut cost = Cost::new();
        // Of this thread alone: other tests of this process use CPU time meanwhile.
        let used = || nanos(clock_gettime(ClockId::ThreadCPUTime));
        let began = used();
        while used() - began < 20_000_000 {}
        let (agent, passed) = cost.measure();
        assert!(agent.cpu_permille > 0 && agent.memory_bytes > 1 << 20 && passed >= 20_000_000, "{agent:?}");
        let own = agent.threads.iter().map(|thread| thread.cpu_permille).max();
        assert!(own > Some(0), "{agent:?}");
        assert_eq!((permille(1, 8), permille(1, 0), permille(0, 0)), (125, 1_000, 0));
    }
}
