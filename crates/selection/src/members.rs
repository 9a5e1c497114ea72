//! Processes whose samples belong to a recording.

use std::collections::{BTreeSet, HashMap};

use pdata::{BootTime, Pid, ProcessEvent, ProcessKey, ProcessTransition};

/// A set of processes, perhaps with their descendants.
///
/// The set begins with pids, since people know processes by them, and has a process's exact identity from its first
/// event on: a later process that gets one of the pids is another.
#[derive(Clone, Debug)]
pub struct Members {
    /// Pids of processes without an event so far.
    awaited: BTreeSet<Pid>,
    /// Instant of the request: a process that started later is not one of those that were asked for.
    started_by: BootTime,
    follows_forks: bool,
    /// The members that can still be sampled; true for a member that has not begun to exit.
    alive: HashMap<ProcessKey, bool>,
    /// Number of members that have not begun to exit.
    running: usize,
    /// Members that the kernel has freed since the last call of [`forget`](Self::forget), and before that call.
    freed: [Vec<ProcessKey>; 2],
}

impl Members {
    /// The processes that have these pids at `now`, and no others.
    #[must_use]
    pub fn processes(pids: impl IntoIterator<Item = Pid>, now: BootTime) -> Self {
        Self {
            awaited: pids.into_iter().collect(),
            started_by: now,
            follows_forks: false,
            alive: HashMap::new(),
            running: 0,
            freed: [Vec::new(), Vec::new()],
        }
    }

    /// The processes that have these pids at `now`, and all that they and their descendants fork from then on.
    #[must_use]
    pub fn trees(roots: impl IntoIterator<Item = Pid>, now: BootTime) -> Self {
        Self { follows_forks: true, ..Self::processes(roots, now) }
    }

    /// Applies an event. Events come in the kernel's order.
    pub fn observe(&mut self, event: &ProcessEvent) {
        let process = event.image.process;
        self.recognize(process);
        match event.transition {
            ProcessTransition::Fork { parent, .. } => {
                if self.follows_forks && self.alive.contains_key(&parent.process) {
                    self.add(process);
                }
            }
            ProcessTransition::Exit => self.exited(process),
            ProcessTransition::Freed => {
                self.exited(process);
                if self.alive.contains_key(&process) {
                    let [now, _] = &mut self.freed;
                    now.push(process);
                }
            }
            ProcessTransition::Seen { .. }
            | ProcessTransition::Exec { .. }
            | ProcessTransition::Rename { .. } => {}
        }
    }

    /// True if a process is a member, so that its samples belong to the recording.
    pub fn contains(&mut self, process: ProcessKey) -> bool {
        self.recognize(process);
        self.alive.contains_key(&process)
    }

    /// True once every process of the set has begun to exit.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.awaited.is_empty() && self.running == 0
    }

    /// The members that have not begun to exit, as far as events of them have come.
    pub fn running(&self) -> impl Iterator<Item = ProcessKey> {
        self.alive.iter().filter(|(_, runs)| **runs).map(|(process, _)| *process)
    }

    /// Forgets the members that were freed before the last call: between two calls a late sample may still come.
    pub fn forget(&mut self) {
        let [now, before] = &mut self.freed;
        std::mem::swap(now, before);
        for process in now.drain(..) {
            self.alive.remove(&process);
        }
    }

    /// Makes a process a member if its pid is one of those that were asked for.
    fn recognize(&mut self, process: ProcessKey) {
        if !self.awaited.is_empty()
            && process.start_time <= self.started_by
            && self.awaited.remove(&process.pid)
        {
            self.add(process);
        }
    }

    fn add(&mut self, process: ProcessKey) {
        if self.alive.insert(process, true).is_none() {
            self.running += 1;
        }
    }

    fn exited(&mut self, process: ProcessKey) {
        if let Some(running) = self.alive.get_mut(&process)
            && std::mem::replace(running, false)
        {
            self.running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use pdata::{Comm, ExecCount, ImageKey, KTime, Relatives};
    use proptest::prelude::*;

    use super::*;

    const NOW: BootTime = BootTime::from_nanos(1_000);

    fn key(pid: u32, start: u64) -> ProcessKey {
        ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) }
    }

    fn image(process: ProcessKey) -> ImageKey {
        ImageKey { process, exec_count: ExecCount(0) }
    }

    fn event(process: ProcessKey, transition: ProcessTransition) -> ProcessEvent {
        ProcessEvent { at: KTime::ZERO, image: image(process), transition }
    }

    fn seen(process: ProcessKey) -> ProcessEvent {
        event(
            process,
            ProcessTransition::Seen {
                executable: None,
                comm: Comm::default(),
                relatives: Relatives::default(),
            },
        )
    }

    fn fork(parent: ProcessKey, child: ProcessKey) -> ProcessEvent {
        event(child, ProcessTransition::Fork { parent: image(parent), relatives: Relatives::default() })
    }

    #[test]
    fn a_tree_has_the_descendants_of_children_that_are_gone_and_nobody_else() {
        let (root, child, orphan, stranger) = (key(1, 10), key(2, 1_010), key(3, 1_020), key(4, 5));
        let mut members = Members::trees([Pid(1)], NOW);
        assert!(!members.has_ended(), "it has not begun");
        members.observe(&seen(root));
        members.observe(&seen(stranger));
        members.observe(&fork(root, child));
        members.observe(&fork(child, orphan));
        members.observe(&event(child, ProcessTransition::Exit));
        members.observe(&event(child, ProcessTransition::Freed));
        members.forget();
        assert!(members.contains(child), "a late sample of it may come");
        members.forget();
        assert!(!members.contains(child));
        assert!(members.contains(root) && members.contains(orphan) && !members.contains(stranger));
        members.observe(&fork(orphan, key(2, 2_000)));
        assert!(members.contains(key(2, 2_000)) && !members.contains(child), "the same pid, another process");
        let running: BTreeSet<_> = members.running().map(|process| process.pid).collect();
        assert_eq!(running, [1, 2, 3].map(Pid).into(), "without the child that has exited");
        for process in [root, orphan, key(2, 2_000)] {
            assert!(!members.has_ended());
            members.observe(&event(process, ProcessTransition::Exit));
        }
        assert!(members.has_ended());
    }

    #[test]
    fn a_process_alone_has_no_children_and_no_successor_by_pid() {
        let mut members = Members::processes([Pid(1), Pid(7)], NOW);
        assert!(!members.contains(key(1, 1_001)), "it started after it was asked for");
        assert!(members.contains(key(1, 10)), "by a sample as well as by an event");
        members.observe(&fork(key(1, 10), key(2, 2_000)));
        assert!(!members.contains(key(2, 2_000)));
        members.observe(&event(key(1, 10), ProcessTransition::Exit));
        assert!(members.contains(key(1, 10)), "it exits, which takes time");
        assert!(!members.has_ended(), "7 is still to come");
        members.observe(&event(key(7, 3), ProcessTransition::Exit));
        assert!(members.has_ended());
    }

    proptest! {
        /// A tree is the transitive closure of its forks, in any order of them.
        #[test]
        fn a_tree_is_the_closure_of_its_forks(forks in proptest::collection::vec((0_u32..40, 0_u32..1000), 0..60)) {
            let mut members = Members::trees([Pid(0)], NOW);
            let root = key(0, 1);
            members.observe(&seen(root));
            let mut parents = BTreeMap::new();
            for (child, (parent, start)) in (1_u32..).zip(forks) {
                let parent = key(parent % child, if parent % child == 0 { 1 } else { u64::from(parents[&(parent % child)]) });
                parents.insert(child, start);
                // Every other process is the child of a stranger.
                let parent = if start % 2 == 0 { parent } else { key(1_000, 1) };
                members.observe(&fork(parent, key(child, u64::from(start))));
                let wanted = members.contains(parent);
                prop_assert_eq!(members.contains(key(child, u64::from(start))), wanted);
            }
            let distinct: BTreeSet<_> = parents.keys().collect();
            prop_assert_eq!(distinct.len(), parents.len());
        }
    }
}
