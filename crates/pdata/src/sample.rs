//! The samples that the kernel side has captured.

use std::sync::Arc;

use crate::{Comm, Context, Image, ImageKey, KTime, Measure, Stack, Tid};

/// One stack, captured at one instant on one CPU.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Capture time. Source: `bpf_ktime_get_ns` in `ebpf/sample.bpf.h`.
    pub at: KTime,
    /// Image that ran, exact even if the pid of its process is used again.
    pub key: ImageKey,
    /// The quantity that the sample measures, and the amount of it.
    pub measure: Measure,
    /// Thread that the stack is of.
    pub tid: Tid,
    /// CPU on which the thread ran, by the kernel's logical number.
    pub cpu: u32,
    /// The thread's name at that instant.
    pub comm: Comm,
    /// The thread's surroundings: control groups, user.
    pub context: Context,
    /// The program or kernel code that ran on behalf of the process.
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

    /// The name that people see in place of an executable when the process is not known: that of its thread, marked as
    /// unresolved.
    #[must_use]
    pub fn unresolved_name(&self) -> String {
        format!("{} (unresolved)", self.thread_name())
    }
}

/// The kinds of code that run on behalf of a sample's process.
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
    /// A softirq on a CPU with nothing else to do: of pid 0, and named so. A softirq that interrupts a thread is part
    /// of that thread's sample.
    Softirq,
}

impl Running {
    /// True if no program ran: of the image only the thread's name is known.
    #[must_use]
    pub const fn is_kernel(self) -> bool {
        matches!(self, Self::KernelThread | Self::Softirq)
    }
}
