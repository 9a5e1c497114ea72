//! Losses: the numbers of samples and records that are missing, with reasons.

use crate::KTime;

/// Records that were due in a span of time and will never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Start of the span in which they were lost.
    pub from: KTime,
    /// End of the span, and the loss's place in the order of events.
    pub until: KTime,
    /// The reason why the records were lost.
    pub reason: LossReason,
    /// The number of records that were lost.
    pub count: u64,
}

/// Reasons why records were lost. Their names are the metric label `reason` and part of OTLP attribute keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// A sample found its ring full.
    SampleRingFull,
    /// A sampling timer fired too late (the virtual CPU was stopped, or interrupts were off). Only those are counted of
    /// which it is certain that the CPU was busy; there may be more.
    SampleTimerMissed,
    /// A CPU worked without a sampling timer: it had only just come online, or the kernel refused it one. The count is
    /// computed from the working time that the kernel reports of that CPU.
    SampleCpuUnattended,
    /// The rate is above the kernel's own limit, `kernel.perf_event_max_sample_rate`, and the kernel stopped the timer
    /// for a while. The count is computed from the working time that the kernel reports of that CPU.
    SampleThinned,
    /// The kernel skipped the sampler's program because a BPF program was already at work on that CPU
    /// (`recursion_misses`).
    SampleHookSkipped,
    /// A sample's record could not be decoded.
    SampleMalformed,
    /// A sample found no scratch memory in the kernel.
    SampleNoScratch,
    /// An exporter's queue was full, or the batch that it was at work on took too long: that exporter alone did not get
    /// the sample.
    SampleQueueFull,
    /// The agent was at its memory limit and dropped the sample.
    SampleMemoryLimit,
    /// A lifecycle record found its ring full.
    LifecycleRingFull,
    /// The kernel skipped a program that reports what happens to processes, because another task was inside the same
    /// program on that CPU (`recursion_misses`; Linux 7.1 and newer can preempt such programs).
    LifecycleHookSkipped,
    /// A lifecycle record could not be decoded.
    LifecycleMalformed,
    /// A lifecycle record found no scratch memory in the kernel.
    LifecycleNoScratch,
    /// A mapped file was met for the first time, and its share of the lifecycle ring was full, or the sample had met
    /// too many new ones. The next sample tries again; frames of this sample have a mapping without a file.
    FileOverBudget,
    /// Control groups were met for the first time, and the share of the lifecycle ring for announcements was full. The
    /// next sample in them tries again; this sample has none.
    CgroupOverBudget,
}

impl LossReason {
    /// Every reason, in order.
    pub const ALL: [Self; 15] = [
        Self::SampleRingFull,
        Self::SampleTimerMissed,
        Self::SampleCpuUnattended,
        Self::SampleThinned,
        Self::SampleHookSkipped,
        Self::SampleMalformed,
        Self::SampleNoScratch,
        Self::SampleQueueFull,
        Self::SampleMemoryLimit,
        Self::LifecycleRingFull,
        Self::LifecycleHookSkipped,
        Self::LifecycleMalformed,
        Self::LifecycleNoScratch,
        Self::FileOverBudget,
        Self::CgroupOverBudget,
    ];

    /// The reason's name in metrics and attributes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SampleRingFull => "sample_ring_full",
            Self::SampleTimerMissed => "sample_timer_missed",
            Self::SampleCpuUnattended => "sample_cpu_unattended",
            Self::SampleThinned => "sample_thinned",
            Self::SampleHookSkipped => "sample_hook_skipped",
            Self::SampleMalformed => "sample_malformed",
            Self::SampleNoScratch => "sample_no_scratch",
            Self::SampleQueueFull => "sample_queue_full",
            Self::SampleMemoryLimit => "sample_memory_limit",
            Self::LifecycleRingFull => "lifecycle_ring_full",
            Self::LifecycleHookSkipped => "lifecycle_hook_skipped",
            Self::LifecycleMalformed => "lifecycle_malformed",
            Self::LifecycleNoScratch => "lifecycle_no_scratch",
            Self::FileOverBudget => "file_over_budget",
            Self::CgroupOverBudget => "cgroup_over_budget",
        }
    }

    /// True if the reason loses samples, rather than facts about processes.
    #[must_use]
    pub const fn is_sample(self) -> bool {
        matches!(
            self,
            Self::SampleRingFull
                | Self::SampleTimerMissed
                | Self::SampleCpuUnattended
                | Self::SampleThinned
                | Self::SampleHookSkipped
                | Self::SampleMalformed
                | Self::SampleNoScratch
                | Self::SampleQueueFull
                | Self::SampleMemoryLimit
        )
    }
}
