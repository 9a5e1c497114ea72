//! What the agent itself costs.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pdata::KTime;
use procfs::{clock, text};
use profile_page::AgentView;
use rustix::time::{ClockId, clock_gettime};

/// Shortest time that a share of CPU is measured over: pages may ask as often as they like.
const LEAST_NANOS: u64 = 1_000_000_000;

/// Measures what the agent costs, whenever it is asked.
#[derive(Debug)]
pub(crate) struct Agent {
    /// The last measurement: when, CPU time until then, and the share that it gave.
    last: Mutex<(KTime, u64, f64)>,
    /// How far everything has come, by the kernel's clock; 0 before the first batch.
    seen: AtomicU64,
}

impl Agent {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new((clock::now(), cpu_nanos(), 0.0)), seen: AtomicU64::new(0) }
    }

    /// Notes how far everything has come.
    pub(crate) fn saw(&self, seen: KTime) {
        self.seen.store(seen.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn view(&self) -> AgentView {
        let now = clock::now();
        let seen = Some(self.seen.load(Ordering::Relaxed)).filter(|&seen| seen > 0);
        let lag = seen.map(|seen| now.saturating_since(KTime::from_nanos(seen)).as_millis());
        AgentView {
            cpu_percent: self.cpu_percent(now),
            memory_bytes: resident().unwrap_or_default(),
            lag_ms: lag.map(|lag| u64::try_from(lag).unwrap_or(u64::MAX)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "shares are shown with one digit after the point")]
    fn cpu_percent(&self, now: KTime) -> f64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, used, percent) = *last;
        let passed = now.as_nanos().saturating_sub(at.as_nanos());
        if passed < LEAST_NANOS {
            return percent;
        }
        let used_now = cpu_nanos();
        let percent = 100.0 * used_now.saturating_sub(used) as f64 / passed as f64;
        *last = (now, used_now, percent);
        percent
    }
}

/// CPU time of this process.
fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
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
    fn this_process_costs_something() {
        let agent = Agent::new();
        assert_eq!(agent.view().lag_ms, None);
        agent.saw(clock::now());
        let view = agent.view();
        assert!(view.memory_bytes > 1 << 20 && view.lag_ms.is_some_and(|lag| lag < 5_000), "{view:?}");
    }
}
