//! The samples that the kernel side has captured.

use std::sync::Arc;

use crate::{Comm, Context, Image, ImageKey, KTime, Measure, Stack, Tid};

/// One stack, captured at one instant on one CPU.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Capture time. Source: `bpf_ktime_get_ns` in `ebpf/sample.bpf.h`.
    pub at: KTime,
    /// Image that ran, exact even if its pid is used again.
    pub key: ImageKey,
    /// What the sample measures, and how much of it.
    pub measure: Measure,
    /// Thread that ran.
    pub tid: Tid,
    /// CPU it ran on, the kernel's logical number.
    pub cpu: u32,
    /// The thread's name at that instant.
    pub comm: Comm,
    /// What surrounded the thread: control groups, user.
    pub context: Context,
    /// What ran on behalf of the process.
    pub running: Running,
    /// The stack of the thread at that instant.
    pub stack: Stack,
    /// The description of the image; `None` until `processor-procinfo` has filled it in, and after it
    /// if the process is not known (counted there).
    pub image: Option<Arc<Image>>,
}

impl Sample {
    /// The name of a process of which nothing is known: its thread's name, in brackets where no program ran.
    #[must_use]
    pub fn thread_name(&self) -> String {
        if self.running.is_kernel() { self.comm.in_brackets() } else { self.comm.to_string() }
    }

    /// What people see in place of an executable when the process is not known: its thread's name, marked as
    /// unresolved.
    #[must_use]
    pub fn unresolved_name(&self) -> String {
        format!("{} (unresolved)", self.thread_name())
    }
}

/// What ran on behalf of a sample's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Running {
    /// The program, or the kernel at the program's request.
    #[default]
    Program,
    /// The kernel inside `execve`, before the new image runs. The registers are still those of the old image, so the
    /// sample has user frames as long as its memory is there.
    Execve,
    /// A kernel thread, which has no program.
    KernelThread,
    /// A softirq on a CPU with nothing else to do: of pid 0, and named so. One that interrupts a thread is part of that
    /// thread's sample.
    Softirq,
}

impl Running {
    /// True if no program ran: the thread's name is all that is known of an image.
    #[must_use]
    pub const fn is_kernel(self) -> bool {
        matches!(self, Self::KernelThread | Self::Softirq)
    }
}
