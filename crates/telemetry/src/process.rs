//! What the agent itself costs.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use metrics::{Gauge, Unit, describe_gauge, gauge};
use procfs::text::{self, Pages};
use rustix::time::{ClockId, clock_gettime};

/// Time since the agent started. As in the Collector.
const UPTIME: &str = "otelcol_process_uptime";
/// CPU time of the agent. As in the Collector.
const CPU: &str = "otelcol_process_cpu_seconds";
/// Memory of the agent. As in the Collector.
const RSS: &str = "otelcol_process_memory_rss";
/// Memory asked for of the system. As in the Collector; its others are of Go's heap, which we have not.
const SYS_MEMORY: &str = "otelcol_process_runtime_total_sys_memory_bytes";

/// Gives the recorder a description of each metric.
fn describe() {
    describe_gauge!(UPTIME, Unit::Seconds, "Time since the agent started, in seconds.");
    describe_gauge!(CPU, Unit::Seconds, "CPU time the agent has used, user and system, in seconds.");
    describe_gauge!(RSS, Unit::Bytes, "Memory of the agent that is resident, in bytes.");
    describe_gauge!(
        SYS_MEMORY,
        Unit::Bytes,
        "Memory the agent has got from the system for data and stacks, resident or not, in bytes."
    );
}

/// The gauges of the process, which are set when somebody asks for them: a timer would cost more than all else that an
/// idle agent does.
#[derive(Clone)]
pub(crate) struct ProcessGauges {
    start: Instant,
    uptime: Gauge,
    cpu: Gauge,
    rss: Gauge,
    sys: Gauge,
}

impl ProcessGauges {
    /// Gauges of the recorder that is installed, of a process that has just started.
    pub(crate) fn register() -> Self {
        describe();
        let (uptime, cpu, rss, sys) = (gauge!(UPTIME), gauge!(CPU), gauge!(RSS), gauge!(SYS_MEMORY));
        Self { start: Instant::now(), uptime, cpu, rss, sys }
    }

    /// Sets them to what they are now.
    pub(crate) fn measure(&self) {
        self.uptime.set(self.start.elapsed().as_secs_f64());
        self.cpu.set(cpu_time().as_secs_f64());
        // Procfs is memory: reading it does not block. Without it the gauges keep their last values.
        if let Some(memory) = memory() {
            self.rss.set(bytes(memory.resident));
            self.sys.set(bytes(memory.data));
        }
    }
}

impl fmt::Debug for ProcessGauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessGauges").field("start", &self.start).finish_non_exhaustive()
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
