//! What the agent itself costs.

use std::fs;
use std::time::{Duration, Instant};

use metrics::gauge;
use rustix::time::{ClockId, clock_gettime};

use crate::metrics::{CPU, RSS, UPTIME};

/// How often the gauges are set.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the gauges of the process current, for ever.
pub(super) async fn measure() {
    let start = Instant::now();
    let (uptime, cpu, rss) = (gauge!(UPTIME), gauge!(CPU), gauge!(RSS));
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        uptime.set(start.elapsed().as_secs_f64());
        cpu.set(cpu_time().as_secs_f64());
        // Procfs is memory: reading it does not block. Without it the gauge keeps its last value.
        if let Some(bytes) = fs::read("/proc/self/statm").ok().and_then(|statm| resident(&statm)) {
            rss.set(bytes);
        }
    }
}

/// CPU time of all threads, user and system.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Resident memory in bytes, from `/proc/PID/statm`; `None` if the text is not as in proc_pid_statm(5).
#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn resident(statm: &[u8]) -> Option<f64> {
    let pages: u64 = std::str::from_utf8(statm).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages as f64 * rustix::param::page_size() as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn resident_memory_is_the_second_field_in_pages() {
        assert_eq!(resident(b"100 7 3 1 0 9 0\n"), Some(7.0 * rustix::param::page_size() as f64));
        assert!(resident(&fs::read("/proc/self/statm").unwrap()).unwrap() > 0.0);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_time();
        while cpu_time() < before + Duration::from_millis(2) {
            std::hint::black_box(0);
        }
    }

    proptest! {
        /// Any bytes are read or refused.
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _any = resident(&bytes);
        }
    }
}
