//! Processes, those included that are gone but not forgotten.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use pdata::{KTime, Pid, ProcessEvent, ProcessKey, ProcessTransition};

use crate::names::NameId;

/// Most processes that are known at a time: of what comes later only samples are seen.
const MOST: usize = 1 << 16;

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) parent: Option<ProcessKey>,
    /// What it was last seen to run; `None` if it was never sampled.
    pub(super) name: Option<NameId>,
    /// True once it has begun to exit.
    pub(super) gone: bool,
    /// Processes of the table that it is the parent of.
    children: usize,
    /// True if it is to be forgotten with its last child.
    due: bool,
}

/// Processes by identity.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes {
    table: HashMap<ProcessKey, Process>,
    /// Those that exited, in that order.
    exited: VecDeque<(KTime, ProcessKey)>,
    /// Parents of processes that were there before: `/proc` has no identities.
    before: BTreeMap<Pid, Pid>,
    /// The process that has a pid now, of those that were there before.
    by_pid: BTreeMap<Pid, ProcessKey>,
}

impl Processes {
    /// Takes over who started whom of the processes that were there before.
    pub(super) fn started_before(&mut self, parents: BTreeMap<Pid, Pid>) {
        self.before = parents;
    }

    /// Takes note of an event.
    pub(super) fn observe(&mut self, event: &ProcessEvent) {
        let process = event.image.process;
        match event.transition {
            ProcessTransition::Fork { parent } => self.add(process, Some(parent.process)),
            ProcessTransition::Exit | ProcessTransition::Freed => self.exit(process, event.at),
            _ => self.add(process, None),
        }
    }

    /// Takes note of a sample: the process runs `name`.
    pub(super) fn ran(&mut self, process: ProcessKey, name: NameId) {
        self.add(process, None);
        if let Some(known) = self.table.get_mut(&process) {
            known.name = Some(name);
        }
    }

    /// The process with this identity.
    pub(super) fn get(&self, process: ProcessKey) -> Option<&Process> {
        self.table.get(&process)
    }

    /// The process that started it, if that is known.
    pub(super) fn parent(&self, process: ProcessKey) -> Option<ProcessKey> {
        if let Some(parent) = self.get(process)?.parent {
            return Some(parent);
        }
        let parent = self.by_pid.get(self.before.get(&process.pid)?)?;
        // A pid that was used again has a parent of its own.
        let is_same = self.by_pid.get(&process.pid) == Some(&process);
        (is_same && *parent != process && parent.start_time <= process.start_time).then_some(*parent)
    }

    /// Forgets the processes that exited before `now` less `retention`.
    pub(super) fn forget(&mut self, now: KTime, retention: Duration) {
        let before = now.saturating_sub(retention);
        while let Some(&(at, process)) = self.exited.front()
            && at < before
        {
            self.exited.pop_front();
            self.remove(process);
        }
    }

    fn add(&mut self, process: ProcessKey, parent: Option<ProcessKey>) {
        if self.table.contains_key(&process) || self.table.len() >= MOST {
            return;
        }
        if let Some(parent) = parent.and_then(|parent| self.table.get_mut(&parent)) {
            parent.children += 1;
        }
        if parent.is_none() && self.before.contains_key(&process.pid) {
            self.by_pid.entry(process.pid).or_insert(process);
        }
        self.table.insert(process, Process { parent, name: None, gone: false, children: 0, due: false });
    }

    fn exit(&mut self, process: ProcessKey, at: KTime) {
        if let Some(known) = self.table.get_mut(&process)
            && !std::mem::replace(&mut known.gone, true)
        {
            self.exited.push_back((at, process));
        }
    }

    /// Forgets a process, and those that were only kept for it; or notes that it is to be forgotten with its last child.
    fn remove(&mut self, process: ProcessKey) {
        let mut next = Some(process);
        while let Some(process) = next {
            let Some(known) = self.table.get_mut(&process) else { return };
            if known.children > 0 {
                known.due = true;
                return;
            }
            let parent = known.parent;
            self.table.remove(&process);
            if self.by_pid.get(&process.pid) == Some(&process) {
                self.by_pid.remove(&process.pid);
            }
            let parent = parent.and_then(|parent| Some((parent, self.table.get_mut(&parent)?)));
            next = parent.and_then(|(key, parent)| {
                parent.children = parent.children.saturating_sub(1);
                (parent.due && parent.children == 0).then_some(key)
            });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}
