//! An instant before which nothing is still on its way: what makes the watermark exact.
//!
//! Every producer, a BPF program, stamps and publishes its record inside one RCU read-side section.
//! `membarrier(MEMBARRIER_CMD_GLOBAL)` returns after an RCU grace period, that is, when every section that had begun
//! before the call is over. So:
//!
//! 1. read the clock: `t`;
//! 2. membarrier;
//! 3. whatever is stamped before `t` is in its ring, complete, and a reader that drains each ring until it
//!    is empty, or until it meets a record still being written (which then began after `t`), has it.
//!
//! With one CPU online the kernel skips the grace period; none is needed there, since the producers run with preemption
//! off and so never are half-way when we run.
//!
//! See `docs/decisions/watermark.md`. Sources: membarrier(2); kernel `kernel/sched/membarrier.c` (synchronize_rcu),
//! `kernel/events/core.c` (perf_iterate_sb), `kernel/trace/bpf_trace.c` (__bpf_trace_run).

use std::time::Duration;

use pdata::KTime;
use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

use crate::clock;

/// The kernel's fast clock, which stamps records, and the one user space reads may differ by under
/// a microsecond: 448 ns was the most seen in 24 million events.
const CLOCK_SKEW: Duration = Duration::from_millis(1);
/// Without a grace period (`nohz_full` kernels refuse one) all that is left is to wait; 72 us was the most seen.
const UNGUARDED_DELAY: Duration = Duration::from_millis(50);

/// How to find out what is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Horizon {
    /// By an RCU grace period: exact.
    GracePeriod,
    /// By waiting: what comes later is counted as late.
    Delay,
}

impl Horizon {
    /// The best this kernel offers.
    pub(crate) fn probe() -> Self {
        if membarrier_query().contains_command(MembarrierCommand::Global)
            && membarrier(MembarrierCommand::Global).is_ok()
        {
            return Self::GracePeriod;
        }
        tracing::warn!(
            delay = ?UNGUARDED_DELAY,
            "Membarrier is refused (a nohz_full kernel?): the watermark relies on a delay, and later events are counted as late."
        );
        Self::Delay
    }

    /// An instant for which every record stamped before it can now be read. Blocks for 1 to 50 ms.
    pub(crate) fn pass(self) -> KTime {
        let now = clock::now();
        if self == Self::Delay || membarrier(MembarrierCommand::Global).is_err() {
            std::thread::sleep(UNGUARDED_DELAY);
        }
        now.saturating_sub(CLOCK_SKEW)
    }
}
