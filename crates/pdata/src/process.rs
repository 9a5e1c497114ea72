//! Processes: identities that survive the reuse of a pid, and the events of a process's life.

use std::fmt;

use crate::{BootTime, Executable, KTime};

/// A process, by the number by which user space knows it. The kernel calls it `tgid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

/// A thread, by the number by which user space knows it. The kernel calls it `pid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid(pub u32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a process: a pid is used again, a pid with its start time is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// The process's number in the agent's pid namespace.
    pub pid: Pid,
    /// Start of the group leader. Source: `task_struct::group_leader->start_boottime`.
    pub start_time: BootTime,
}

/// The number of times that a task and its ancestors have called `execve`, modulo 2^32.
///
/// The count is inherited over fork and raised by one per exec. Source: `task_struct::self_exec_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecCount(pub u32);

/// One program image of one process: the program that it runs between two execs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// The process that runs the image.
    pub process: ProcessKey,
    /// The number of the image among those of the process.
    pub exec_count: ExecCount,
}

/// A thread's name: at most 15 bytes, NUL padded. Source: `task_struct::comm`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// The name's bytes, up to the first NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|&b| b == 0).next().unwrap_or_default()
    }

    /// The name in brackets, by which all outputs name a thread that runs no program.
    #[must_use]
    pub fn in_brackets(self) -> String {
        format!("[{self}]")
    }
}

impl fmt::Display for Comm {
    /// Writes the name, with bytes that are not UTF-8 replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Comm({self})")
    }
}

/// A list of the processes that there are: any other has ended.
///
/// A census is taken after records were lost, and now and then anyway, so that no stage remembers a process for ever
/// whose end was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// The census's place in the order of events: so late that the end of every process which is missing from it has
    /// been passed on before, if its record was not lost.
    pub at: KTime,
    /// The instant at which the census began. It need not have found a process whose first event is later.
    pub began: KTime,
    /// The processes that were found, in the order of pids. Source: `ebpf/census.bpf.h`.
    pub processes: Box<[CensusEntry]>,
    /// Pids in use by processes that the census could not identify. Source: `/proc`.
    pub unidentified: Box<[Pid]>,
}

/// A process that a census has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CensusEntry {
    /// The process that was found.
    pub process: ProcessKey,
    /// True if the process's last thread has begun to exit: its parent has not reaped it.
    pub exited: bool,
}

/// The place of a process among others. Source: `ebpf/relatives.bpf.h`.
///
/// Numbers of 0 stand for those that are not known, or outside of what the kernel can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relatives {
    /// The parent, as the kernel had it then (`real_parent`). Exact for ever in the record of a fork.
    pub parent: ProcessKey,
    /// Leader of the session.
    pub session: Pid,
    /// Leader of the process group.
    pub group: Pid,
    /// The process's number in its own pid namespace.
    pub own_pid: Pid,
    /// Inode number of its pid namespace.
    pub pid_namespace: u32,
    /// Inode number of its network namespace.
    pub network_namespace: u32,
    /// The effective group, as the host's user namespace has it.
    pub group_id: Option<u32>,
    /// True if its session has a controlling terminal.
    pub has_terminal: Option<bool>,
}

/// Something that happened to a process, seen by the kernel as it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEvent {
    /// Instant of the event. Source: `bpf_ktime_get_ns`, read after the ring slot was reserved.
    pub at: KTime,
    /// Image that the event is about; for [`Fork`](ProcessTransition::Fork) the child's, for an exec the new one.
    pub image: ImageKey,
    /// The change that happened to the process.
    pub transition: ProcessTransition,
}

/// The changes that can happen to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessTransition {
    /// The image has been seen running: at start-up by the snapshot, or by a sample of an image of which no record had
    /// been written, such as one whose exec is not complete. The event does not say when the image began.
    Seen {
        /// File that the image runs; `None` for a kernel thread.
        executable: Option<Box<Executable>>,
        /// Name of the thread that was seen.
        comm: Comm,
        /// Place of the process among others, as far as it can be seen by now: the parent of an orphan is the process
        /// that adopted it.
        relatives: Relatives,
    },
    /// An `execve` is complete: the image replaces every earlier one of the process.
    Exec {
        /// The file that the process runs.
        executable: Box<Executable>,
        /// Thread name after the exec.
        comm: Comm,
        /// File name that the caller passed to `execve`, unresolved; for a script, the script. Source:
        /// `linux_binprm::filename`.
        filename: Box<[u8]>,
        /// Interpreter as the script's first line names it, unresolved; `None` if the file was no
        /// script. Source: `linux_binprm::interp` where it differs from `filename`.
        interpreter: Option<Box<[u8]>>,
        /// Variables of the program's environment that OpenTelemetry has named, as `KEY=VALUE` each ended by NUL;
        /// `None` if the environment could not be read to its end. Source: `ebpf/environment.bpf.h`.
        environment: Option<Box<[u8]>>,
        /// Arguments of the program, its own name first, each ended by NUL; the last may be cut short. Empty unless the
        /// configuration asks for arguments.
        arguments: Box<[u8]>,
        /// Place of the process among others.
        relatives: Relatives,
    },
    /// A process was made; it runs its parent's image until it execs.
    Fork {
        /// Image of the thread that called `clone`. The child runs it, even if it has another parent (`CLONE_PARENT`).
        parent: ImageKey,
        /// Place of the child among others.
        relatives: Relatives,
    },
    /// A kernel thread took another name.
    Rename {
        /// The kernel thread that has a new name.
        tid: Tid,
        /// The thread's new name.
        comm: Comm,
    },
    /// The last thread has begun to exit. The process can still be sampled until [`Freed`](Self::Freed).
    Exit,
    /// The kernel has let go of the process: no sample of it can have a later stamp. Source: `sched_process_free` of
    /// the group leader.
    Freed,
}
