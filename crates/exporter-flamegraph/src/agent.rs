//! The CPU time and the memory that the agent itself uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pdata::KTime;
use procfs::clock;
use procfs::own::{self, OwnMemory};
use profile_page::AgentView;

/// Shortest time that a share of CPU is measured over, however often pages ask.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// Measures the CPU time and memory of the agent when a page asks.
#[derive(Debug)]
pub(crate) struct Agent {
    /// The last measurement: its instant, the CPU time until then, and the share in percent that it showed.
    last: Mutex<(KTime, Duration, f64)>,
    /// The watermark before which all events have come, in nanoseconds of the kernel's clock; 0 before the first batch.
    seen: AtomicU64,
}

impl Agent {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new((clock::now(), own::cpu_time(), 0.0)), seen: AtomicU64::new(0) }
    }

    /// Notes the watermark before which all events have come.
    pub(crate) fn saw(&self, seen: KTime) {
        self.seen.store(seen.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn view(&self) -> AgentView {
        let now = clock::now();
        let seen = Some(self.seen.load(Ordering::Relaxed)).filter(|&seen| seen > 0);
        let lag = seen.map(|seen| now.saturating_since(KTime::from_nanos(seen)).as_millis());
        AgentView {
            cpu_percent: self.cpu_percent(now),
            memory_bytes: OwnMemory::now().map_or(0, |memory| memory.resident),
            lag_ms: lag.map(|lag| u64::try_from(lag).unwrap_or(u64::MAX)),
        }
    }

    fn cpu_percent(&self, now: KTime) -> f64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, used, percent) = *last;
        let passed = now.saturating_since(at);
        if passed < LEAST_TIME {
            return percent;
        }
        let used_now = own::cpu_time();
        let percent = 100.0 * used_now.saturating_sub(used).div_duration_f64(passed);
        *last = (now, used_now, percent);
        percent
    }
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
