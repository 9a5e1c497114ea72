//! What the agent itself costs.

use std::fs;
use std::time::{Duration, Instant};

use metrics::{Unit, describe_gauge, gauge};
use procfs::text::{self, Pages};
use rustix::time::{ClockId, clock_gettime};

/// How often the gauges are set.
const INTERVAL: Duration = Duration::from_secs(1);

/// Time since the agent started. As in the Collector.
const UPTIME: &str = "otelcol_process_uptime";
/// CPU time of the agent. As in the Collector.
const CPU: &str = "otelcol_process_cpu_seconds";
/// Memory of the agent. As in the Collector.
const RSS: &str = "otelcol_process_memory_rss";
/// Memory asked for of the system. As in the Collector; its others are of Go's heap, which we have not.
const SYS_MEMORY: &str = "otelcol_process_runtime_total_sys_memory_bytes";

/// Gives the recorder a description of each metric.
pub(crate) fn describe() {
    describe_gauge!(UPTIME, Unit::Seconds, "Time since the agent started, in seconds.");
    describe_gauge!(CPU, Unit::Seconds, "CPU time the agent has used, user and system, in seconds.");
    describe_gauge!(RSS, Unit::Bytes, "Memory of the agent that is resident, in bytes.");
    describe_gauge!(
        SYS_MEMORY,
        Unit::Bytes,
        "Memory the agent has got from the system for data and stacks, resident or not, in bytes."
    );
}

/// Keeps the gauges of the process current, for ever.
pub(crate) async fn measure() {
    let start = Instant::now();
    let (uptime, cpu, rss, sys) = (gauge!(UPTIME), gauge!(CPU), gauge!(RSS), gauge!(SYS_MEMORY));
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        uptime.set(start.elapsed().as_secs_f64());
        cpu.set(cpu_time().as_secs_f64());
        // Procfs is memory: reading it does not block. Without it the gauges keep their last values.
        if let Some(memory) = memory() {
            rss.set(bytes(memory.resident));
            sys.set(bytes(memory.data));
        }
    }
}

/// Memory of this process.
fn memory() -> Option<Pages> {
    text::pages(&fs::read("/proc/self/statm").ok()?)
}

/// CPU time of all threads, user and system.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Bytes of so many pages.
fn bytes(pages: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a page is far below 2^52 bytes")]
    let page = rustix::param::page_size() as f64;
    f64::from(pages) * page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!(bytes(memory().unwrap().resident) >= rustix::param::page_size() as f64);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_time();
        while cpu_time() < before + Duration::from_millis(2) {
            std::hint::black_box(0);
        }
    }
}
