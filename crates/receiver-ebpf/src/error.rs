//! Errors: reasons why the receiver cannot start, or had to stop.

use std::error::Error;
use std::io;

use aya::{EbpfError, programs::ProgramError};
use thiserror::Error;

/// The reason why the receiver cannot start. Each text names the remedy.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum StartError {
    /// The kernel lacks a feature that every program here needs.
    #[error(
        "Linux {found} is too old: the ebpf receiver needs {needed} or newer, whose processes keep their mappings in a tree that it can search"
    )]
    KernelTooOld { found: String, needed: &'static str },
    /// Nothing is mounted on `/proc`.
    #[error("/proc is not there: mount it (mount -t proc proc /proc)")]
    NoProc,
    /// The kernel lets no BPF program read its memory.
    #[error(
        "the kernel is locked down to confidentiality, so that BPF programs may not read its memory: boot with lockdown=integrity"
    )]
    Lockdown,
    /// This process may open too few files.
    #[error(
        "{needed} file descriptors are needed for {cpus} CPUs, and {allowed} allowed: raise the limit (ulimit -n {needed}; systemd: LimitNOFILE={needed})"
    )]
    Descriptors {
        /// The descriptors that this process may have.
        allowed: u64,
        /// The descriptors that the agent needs.
        needed: u64,
        /// CPUs that are online.
        cpus: usize,
    },
    /// The control group leaves too little memory.
    #[error(
        "the agent's control group may hold {} MiB, and the agent needs {} MiB at least: raise the limit (memory.max; systemd: MemoryMax={}M; Kubernetes: resources.limits.memory: {}Mi)",
        limit >> 20, needed >> 20, needed >> 20, needed >> 20
    )]
    TooLittleMemory {
        /// The least limit of a group that this process is in, bytes.
        limit: u64,
        /// The least that the agent needs, bytes.
        needed: u64,
    },
    /// The kernel does not show its own types.
    #[error(
        "/sys/kernel/btf/vmlinux is missing: the ebpf receiver needs a kernel built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf,
    /// The process may not load BPF programs or open perf events.
    #[error("missing {missing}: run as root, or grant CAP_BPF and CAP_PERFMON")]
    Privileges { missing: String },
    /// `/proc` is of another pid namespace than the agent's: it shows another process under a pid than the agent means.
    #[error(
        "/proc is that of another pid namespace than the agent's: mount one of its own (unshare --mount-proc; mount -t proc proc /proc)"
    )]
    ForeignProc,
    /// The kernel's list of CPUs cannot be read.
    #[error("cannot read {file}")]
    Cpus { file: &'static str, source: io::Error },
    /// No event descriptor can be had by which to wake the reader.
    #[error("cannot make an eventfd: raise the limit on open files (ulimit -n)")]
    Waker(#[source] io::Error),
    /// Memory of the kernel side cannot be shared.
    #[error("cannot share memory with the kernel side")]
    Memory(#[source] io::Error),
    /// No thread can be had to build unwind rows.
    #[error("cannot start a thread: raise the limit on them (ulimit -u; systemd: TasksMax=)")]
    Unwinder(#[source] io::Error),
    /// The BPF object was refused as a whole.
    #[error("cannot load the BPF object")]
    Load(#[source] Box<EbpfError>),
    /// A part that the code names is not in the object: a build of other sources.
    #[error("the BPF object has no {0}: rebuild the agent")]
    Missing(&'static str),
    /// A program was refused.
    #[error("cannot load or attach BPF program {program}")]
    Attach { program: &'static str, source: Box<ProgramError> },
    /// The processes that already ran could not be read.
    #[error("cannot read the snapshot of running processes")]
    Snapshot(#[source] Box<dyn Error + Send + Sync>),
}

/// The reason why a running receiver had to stop.
#[derive(Debug, Error)]
pub enum ReceiverError {
    /// The stage behind the receiver failed for good.
    #[error("the stage after the ebpf receiver failed")]
    Downstream(#[source] Box<dyn Error + Send + Sync>),
    /// The thread that reads the rings could not be started.
    #[error("cannot start the ring reader's thread")]
    Spawn(#[source] io::Error),
    /// The thread that reads the rings is gone: a bug.
    #[error("the ring reader panicked: {0}")]
    ReaderPanicked(String),
}

/// Turns the failure of a program of this name into an error of the start.
pub(crate) fn attach(program: &'static str) -> impl Fn(ProgramError) -> StartError {
    move |source| StartError::Attach { program, source: Box::new(source) }
}
