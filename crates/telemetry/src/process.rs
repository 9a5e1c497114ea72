//! Gauges of the CPU time and the memory that the agent itself uses.

use std::fmt;
use std::time::Instant;

use metrics::{Gauge, Unit, describe_gauge, gauge};
use procfs::own::{self, OwnMemory};

/// Gauge of the time since the agent started, as in the Collector.
const UPTIME: &str = "otelcol_process_uptime";
/// Gauge of the agent's CPU time, as in the Collector.
const CPU: &str = "otelcol_process_cpu_seconds";
/// Gauge of the agent's memory, as in the Collector.
const RSS: &str = "otelcol_process_memory_rss";
/// Gauge of the memory asked for of the system, as in the Collector, whose other gauges are of Go's heap.
const SYS_MEMORY: &str = "otelcol_process_runtime_total_sys_memory_bytes";

/// Describes each metric to the recorder.
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

    /// Sets the gauges to the process's figures of now.
    pub(crate) fn measure(&self) {
        self.uptime.set(self.start.elapsed().as_secs_f64());
        self.cpu.set(own::cpu_time().as_secs_f64());
        // Without procfs the gauges keep their last values.
        if let Some(memory) = OwnMemory::now() {
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

/// A number of bytes as a gauge's value.
fn bytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
    let bytes = bytes as f64;
    bytes
}
