//! One second, as the agent sends it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::losses::{LostRecords, MAX_REASONS};

/// Most calls of a second.
pub const MAX_CALLS: usize = 8_192;
/// Most processes of a second, their ancestors included.
pub const MAX_PROCESSES: usize = 4_096;
/// Most names of a second: two for each call, and one for each process.
pub const MAX_NAMES: usize = 2 * MAX_CALLS + MAX_PROCESSES + 1;
/// Longest name, in bytes: a longer one is cut and ends in `…`.
pub const MAX_NAME: usize = 256;

/// Calls and processes of all CPUs in one second of the kernel's clock.
///
/// Users choose the names of functions and processes, so none is fit for a terminal before it is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// The second's number, counted from the start of `CLOCK_MONOTONIC`.
    pub number: u64,
    /// Number of samples of CPU time.
    pub samples: u64,
    /// Nanoseconds of CPU time that the samples stand for.
    pub cpu: u64,
    /// Names, each once. Calls and processes refer to them by their position; position 0 is the empty name.
    pub names: Vec<Box<str>>,
    /// Calls, each behind its caller.
    pub calls: Vec<Call>,
    /// Processes that ran or ended in the second, and their ancestors.
    pub processes: Vec<ProcessUse>,
    /// Lost records by reason: the name of the reason, whether the records were samples, and their number.
    pub lost: Vec<LostRecords>,
}

/// A function on one path of callers from the root. The first level below the root is executables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, u32, CallKind, u64)", into = "(u32, u32, u32, CallKind, u64)")]
pub struct Call {
    /// The caller: the position of a call plus one, or 0 for the root.
    pub parent: u32,
    /// The function's name, or the executable's path.
    pub name: u32,
    /// The file that holds the function's code, without its directory; empty for an executable.
    pub module: u32,
    /// The kind of code that the call runs.
    pub kind: CallKind,
    /// Nanoseconds of CPU time in the call and in its callees.
    pub total: u64,
}

/// The kind of code that a call runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// Code of a program or a library.
    #[default]
    #[serde(rename = "u")]
    User,
    /// Code of the kernel.
    #[serde(rename = "k")]
    Kernel,
    /// An executable, which stands for all that it ran.
    #[serde(rename = "x")]
    Executable,
}

impl From<(u32, u32, u32, CallKind, u64)> for Call {
    fn from((parent, name, module, kind, total): (u32, u32, u32, CallKind, u64)) -> Self {
        Self { parent, name, module, kind, total }
    }
}

impl From<Call> for (u32, u32, u32, CallKind, u64) {
    fn from(Call { parent, name, module, kind, total }: Call) -> Self {
        (parent, name, module, kind, total)
    }
}

/// A process: its pid, and its start in nanoseconds since boot. A pid is used again, both together are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u32, u64)", into = "(u32, u64)")]
pub struct ProcessId {
    /// The pid, as user space knows the process.
    pub pid: u32,
    /// Start of the process's first thread, in nanoseconds since boot.
    pub start: u64,
}

impl From<(u32, u64)> for ProcessId {
    fn from((pid, start): (u32, u64)) -> Self {
        Self { pid, start }
    }
}

impl From<ProcessId> for (u32, u64) {
    fn from(ProcessId { pid, start }: ProcessId) -> Self {
        (pid, start)
    }
}

/// A process's use in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ProcessFields", into = "ProcessFields")]
pub struct ProcessUse {
    /// The process's pid and start.
    pub process: ProcessId,
    /// The process that forked it, if that is known.
    pub parent: Option<ProcessId>,
    /// The executable that the process runs; the empty name if it is not known.
    pub name: u32,
    /// True if the process has ended.
    pub gone: bool,
    /// Nanoseconds of CPU time of the process.
    pub cpu: u64,
}

type ProcessFields = (ProcessId, Option<ProcessId>, u32, bool, u64);

impl From<ProcessFields> for ProcessUse {
    fn from((process, parent, name, gone, cpu): ProcessFields) -> Self {
        Self { process, parent, name, gone, cpu }
    }
}

impl From<ProcessUse> for ProcessFields {
    fn from(ProcessUse { process, parent, name, gone, cpu }: ProcessUse) -> Self {
        (process, parent, name, gone, cpu)
    }
}

/// A fault for which a message is no valid second.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum SecondError {
    #[error("a second has {found} {what}, expected {most} at most")]
    TooMany { what: &'static str, found: usize, most: usize },
    #[error("a name is longer than {MAX_NAME} bytes")]
    LongName,
    #[error("call {place} comes before its caller")]
    Order { place: usize },
    #[error("a name of number {number} is missing")]
    Name { number: u32 },
}

impl Second {
    /// The name at a position; empty if there is none.
    #[must_use]
    pub fn name(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|place| self.names.get(place)).map_or("", |name| name)
    }

    /// Checks that the second is within the bounds, and that every index in it is of its own tables.
    ///
    /// # Errors
    /// [`SecondError`] for the first fault.
    pub fn check(&self) -> Result<(), SecondError> {
        let lengths = [
            ("names", self.names.len(), MAX_NAMES),
            ("calls", self.calls.len(), MAX_CALLS),
            ("processes", self.processes.len(), MAX_PROCESSES),
        ];
        if let Some((what, found, most)) = lengths.into_iter().find(|(_, found, most)| found > most) {
            return Err(SecondError::TooMany { what, found, most });
        }
        if self.names.iter().any(|name| name.len() > MAX_NAME) {
            return Err(SecondError::LongName);
        }
        check_losses(&self.lost)?;
        let is_early = |(place, call): &(usize, &Call)| {
            usize::try_from(call.parent).is_ok_and(|parent| parent <= *place)
        };
        if let Some((place, _)) = self.calls.iter().enumerate().find(|found| !is_early(found)) {
            return Err(SecondError::Order { place });
        }
        let calls = self.calls.iter().flat_map(|call| [call.name, call.module]);
        let mut used = calls.chain(self.processes.iter().map(|process| process.name));
        let is_missing = |number: &u32| usize::try_from(*number).is_ok_and(|place| place >= self.names.len());
        match used.find(is_missing) {
            Some(number) => Err(SecondError::Name { number }),
            None => Ok(()),
        }
    }
}

/// Checks that losses are within the bounds.
///
/// # Errors
/// [`SecondError`] for the first fault.
pub(crate) fn check_losses(lost: &[LostRecords]) -> Result<(), SecondError> {
    if lost.len() > MAX_REASONS {
        let (what, found) = ("reasons of loss", lost.len());
        return Err(SecondError::TooMany { what, found, most: MAX_REASONS });
    }
    let is_long = |(reason, ..): &LostRecords| reason.len() > MAX_NAME;
    if lost.iter().any(is_long) { Err(SecondError::LongName) } else { Ok(()) }
}
