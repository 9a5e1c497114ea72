//! Tasks: processes and their threads.

use hashbrown::DefaultHashBuilder;
use indexmap::IndexMap;
use pdata::{BootTime, FileState, UnixNanos};

use super::value::Attribute;
use crate::table::Id;

/// Start of a process, which together with its pid identifies it for ever. Only starts of one kind can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Start {
    /// A start that is not known.
    #[default]
    Unknown,
    /// A start by the kernel's clock, in a profile that this process gathered.
    Boot(BootTime),
    /// A start by the wall clock, in a profile that was read from a file.
    Unix(UnixNanos),
}

/// A process, whichever images it runs one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessRef {
    /// The process's number in the agent's pid namespace.
    pub pid: u32,
    /// The process's start, which distinguishes it from others with that number.
    pub start: Start,
}

/// Key of a process's entry: one program image of the process, which an `execve` replaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    /// The process; `None` if the profile's source does not name it.
    pub process: Option<ProcessRef>,
    /// Number of the image among those of the process; 0 if the profile's source does not name it.
    pub exec_count: u32,
    /// False if the image's program was not found out. Samples of an image before and after it was found out are of two
    /// entries.
    pub resolved: bool,
    /// All facts that are known of a process without a number.
    pub facts: Box<[Attribute]>,
}

/// A program image of a process, with all facts that are known of it; or a group of images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The process; `None` if the profile's source does not name it.
    pub process: Option<ProcessRef>,
    /// The process's start by the wall clock.
    pub created: Option<UnixNanos>,
    /// Number of the image among those of the process.
    pub exec_count: Option<u32>,
    /// Name of the image: the last part of the executable's path; `[NAME]` for a kernel thread; for an unresolved
    /// process the name of the thread first sampled.
    pub name: Option<Id<str>>,
    /// OpenTelemetry's `service.name`, which most often equals the name.
    pub service: Option<Id<str>>,
    /// Path of the executable; `None` for a kernel thread and for an unresolved process.
    pub path: Option<Id<str>>,
    /// The path as the process itself sees it, if its root directory differs.
    pub own_path: Option<Id<str>>,
    /// Whether the path named the file when it began to run.
    pub file: FileState,
    /// True if the path was too long, so that `path` is its tail.
    pub path_truncated: bool,
    /// The script, if the executable is the interpreter of one.
    pub script: Option<Script>,
    /// True if the process runs no program: it is a kernel thread, or a softirq.
    pub kernel: bool,
    /// True if the program of the process was not found out.
    pub unresolved: bool,
    /// The process that started this one, if its fork was seen.
    pub parent: Option<ProcessRef>,
    /// The instant at which the process ended; `None` while it runs, and if its end was not seen.
    pub gone: Option<UnixNanos>,
    /// ID of the control group of the sample seen last; 0 if it is not known.
    pub cgroup: u64,
    /// Names of what all images have in common that this entry stands for, one for each key of the grouping; empty for
    /// an image by itself.
    pub group: Box<[Id<str>]>,
    /// Further facts of the process, in the order of the source.
    pub attributes: Box<[Attribute]>,
}

/// A script that an executable interprets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    /// Path of the script as passed to `execve`.
    pub path: Id<str>,
    /// Interpreter as the script's first line names it.
    pub interpreter: Option<Id<str>>,
}

/// A thread of a process image, under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    /// The process image that it ran; `None` if there were more processes than a profile holds.
    pub process: Option<Id<Process>>,
    /// The thread's number.
    pub tid: Option<u32>,
    /// The thread's name when it was sampled; `None` if it is empty.
    pub name: Option<Id<str>>,
}

/// The processes of a profile. A later description of a process replaces the one before.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    entries: IndexMap<ProcessIdentity, Process, DefaultHashBuilder>,
}

impl Processes {
    /// The number of a process; `make` describes it if it is new. `None` if it is new and there is no `room`.
    pub fn intern_within(
        &mut self,
        identity: ProcessIdentity,
        room: bool,
        make: impl FnOnce() -> Process,
    ) -> Option<Id<Process>> {
        if let Some(index) = self.entries.get_index_of(&identity) {
            return Some(Id::of_index(index));
        }
        room.then(|| Id::of_index(self.entries.insert_full(identity, make()).0))
    }

    /// The number of a process; `make` describes it if it is new.
    pub fn intern(&mut self, identity: ProcessIdentity, make: impl FnOnce() -> Process) -> Id<Process> {
        let entry = self.entries.entry(identity);
        let index = entry.index();
        entry.or_insert_with(make);
        Id::of_index(index)
    }

    /// The process with this number; `None` if the number is of another table.
    #[must_use]
    pub fn get(&self, id: Id<Process>) -> Option<&Process> {
        self.entries.get_index(id.index()).map(|(_, process)| process)
    }

    /// The process with this number, to be described anew.
    pub fn get_mut(&mut self, id: Id<Process>) -> Option<&mut Process> {
        self.entries.get_index_mut(id.index()).map(|(_, process)| process)
    }

    /// The processes, to be described anew.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.entries.values_mut()
    }

    /// The processes with their numbers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Id<Process>, &Process)> {
        self.entries.values().enumerate().map(|(index, process)| (Id::of_index(index), process))
    }

    /// The processes with their keys.
    pub fn identities(&self) -> impl ExactSizeIterator<Item = (&ProcessIdentity, &Process)> {
        self.entries.iter()
    }

    /// The number of processes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no process.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
