//! Processes of the minute, including those that have ended.

use std::collections::HashMap;

use profile_seconds::ProcessId;
use terminal::NameId;

/// Facts about a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Process {
    pub(crate) parent: Option<ProcessId>,
    /// The executable that the process runs; `None` if it is not known.
    pub(crate) name: Option<NameId>,
    pub(crate) gone: bool,
    /// The last second that names the process.
    last: u64,
}

/// Processes by identity: those of the minute, and their ancestors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    table: HashMap<ProcessId, Process>,
}

impl Processes {
    /// Applies a second's facts about a process. Facts that the second does not know stay as they were.
    pub(crate) fn saw(&mut self, id: ProcessId, seen: Process, second: u64) {
        let known = self.table.entry(id).or_default();
        known.parent = seen.parent.filter(|&parent| parent != id).or(known.parent);
        known.name = seen.name.or(known.name);
        known.gone |= seen.gone;
        known.last = second;
    }

    pub(crate) fn get(&self, id: ProcessId) -> Option<&Process> {
        self.table.get(&id)
    }

    /// Forgets processes that no second since `oldest` names.
    pub(crate) fn forget(&mut self, oldest: u64) {
        self.table.retain(|_, process| process.last >= oldest);
    }

    pub(crate) fn names_mut(&mut self) -> impl Iterator<Item = &mut NameId> {
        self.table.values_mut().filter_map(|process| process.name.as_mut())
    }
}

impl Process {
    /// The facts about a process that a second has.
    pub(crate) fn seen(parent: Option<ProcessId>, name: Option<NameId>, gone: bool) -> Self {
        Self { parent, name, gone, last: 0 }
    }
}
