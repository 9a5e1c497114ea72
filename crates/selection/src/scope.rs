//! The scope of a recording: the processes whose samples belong to it.

use std::collections::HashSet;

use pdata::{Event, ProcessEvent, ProcessKey, ProcessTransition, Sample};

use crate::groups::GroupTree;
use crate::members::Members;

/// The processes whose samples belong to a recording.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Every process of the machine.
    Machine,
    /// Some processes, perhaps with their descendants.
    Members(Members),
    /// A control group with the groups below it, and the processes that were sampled in them.
    Group(GroupTree, HashSet<ProcessKey>),
}

impl Scope {
    /// The scope of a control group and the groups below it.
    #[must_use]
    pub fn group(groups: GroupTree) -> Self {
        Self::Group(groups, HashSet::new())
    }

    /// Applies an event, and returns whether it belongs to the recording. A loss always does, since it is of the whole
    /// machine. Events come in the kernel's order.
    pub fn concerns(&mut self, event: &Event) -> bool {
        match event {
            Event::Sample(sample) => self.concerns_sample(sample),
            Event::Process(event) => self.concerns_process(event),
            Event::Loss(_) | Event::Census(_) => true,
        }
    }

    fn concerns_sample(&mut self, sample: &Sample) -> bool {
        let process = sample.key.process;
        match self {
            Self::Machine => true,
            Self::Members(members) => members.contains(process),
            Self::Group(groups, sampled) => {
                let concerned = sample.context.cgroup.as_deref().is_some_and(|group| groups.contains(group));
                if concerned {
                    sampled.insert(process);
                }
                concerned
            }
        }
    }

    fn concerns_process(&mut self, event: &ProcessEvent) -> bool {
        let process = event.image.process;
        match self {
            Self::Machine => true,
            Self::Members(members) => {
                members.observe(event);
                members.contains(process)
            }
            // No event names the group that a process is in, so the sampled processes are used.
            Self::Group(_, sampled) => match event.transition {
                ProcessTransition::Freed => sampled.remove(&process),
                _ => sampled.contains(&process),
            },
        }
    }

    /// Applies the end of a batch.
    pub fn end_batch(&mut self) {
        if let Self::Members(members) = self {
            members.forget();
        }
    }

    /// The processes of the scope that have not ended; empty for a scope that is not a set of processes.
    #[must_use]
    pub fn running(&self) -> Vec<ProcessKey> {
        if let Self::Members(members) = self { members.running().collect() } else { Vec::new() }
    }

    /// True once no process of the scope can be sampled any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::Members(members) if members.has_ended())
    }
}
