//! The measure of a sample: CPU time of a period, or time off the CPU.

use std::time::Duration;

/// The quantity that a sample measures, and the amount of it that the sample stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Time on a CPU, of which a timer takes a sample once in each period.
    OnCpu {
        /// CPU time that the sample stands for.
        period: Duration,
    },
    /// Time for which a thread did not run: one sample for each time it was switched out.
    OffCpu {
        /// Time from the switch to when the thread ran again.
        blocked: Duration,
        /// The reason why the thread did not run.
        reason: OffCpuReason,
    },
}

impl Default for Measure {
    fn default() -> Self {
        Self::OnCpu { period: Duration::ZERO }
    }
}

/// Reasons why a thread did not run. Source: `prev_state` and `preempt` of `sched_switch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OffCpuReason {
    /// The thread waited for an event that a signal may cut short (`TASK_INTERRUPTIBLE`): a lock, a timer, a socket.
    Sleep,
    /// The thread waited for an event that no signal cuts short (`TASK_UNINTERRUPTIBLE`): most often a device.
    Uninterruptible,
    /// The thread could have run, but another ran on its CPU (`TASK_RUNNING`).
    Preempted,
    /// The thread was stopped, by a signal or by a debugger (`TASK_STOPPED`, `TASK_TRACED`).
    Stopped,
}

impl OffCpuReason {
    /// The reason's name in outputs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sleep => "sleep",
            Self::Uninterruptible => "uninterruptible",
            Self::Preempted => "preempted",
            Self::Stopped => "stopped",
        }
    }
}
