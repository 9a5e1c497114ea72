//! What the sampler captured.

use std::sync::Arc;
use std::time::Duration;

use crate::{Comm, Image, ImageKey, KTime, Mapping, Pc, Tid};

/// One stack, captured at one instant on one CPU.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Capture time. Source: `bpf_ktime_get_ns` in `ebpf/sample.bpf.h`.
    pub at: KTime,
    /// Image that ran, exact even if its pid is used again.
    pub key: ImageKey,
    /// CPU time that the sample stands for.
    pub period: Duration,
    /// Thread that ran.
    pub tid: Tid,
    /// CPU it ran on, the kernel's logical number.
    pub cpu: u32,
    /// The thread's name at that instant.
    pub comm: Comm,
    /// Control group, version 2: the inode number of its directory. 1 is the root.
    pub cgroup: u64,
    /// True if taken inside `execve`: the registers were still the old image's, so no user frames.
    pub in_execve: bool,
    /// True if a kernel thread ran.
    pub kernel_thread: bool,
    /// Where it was.
    pub stack: Stack,
    /// What is known of the image; `None` until `processor-procinfo` has filled it in, and after it
    /// if the process is not known (counted there).
    pub image: Option<Arc<Image>>,
}

/// Frames, leaf first: the kernel's, if the sample hit it, then the process's own.
#[derive(Clone, Debug, Default)]
pub struct Stack(pub Box<[Frame]>);

/// One frame of a stack.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Kernel code, by its run-time address.
    Kernel(Pc),
    /// User code whose mapping is not known (yet).
    User(Pc),
    /// User code in a mapping.
    Mapped(Pc, Arc<Mapping>),
}

impl Frame {
    /// Address of the frame in its process or in the kernel. For a caller's frame it is the return
    /// address, that is, the one after the call.
    #[must_use]
    pub fn pc(&self) -> Pc {
        match self {
            Self::Kernel(pc) | Self::User(pc) | Self::Mapped(pc, _) => *pc,
        }
    }
}
