//! The processes that a recording is of.

use std::collections::HashSet;

use pdata::{Event, ProcessEvent, ProcessKey, ProcessTransition, Sample};

use crate::groups::GroupTree;
use crate::members::Members;

/// The processes that a recording is of.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Everything that runs.
    Machine,
    /// Some processes, perhaps with their descendants.
    Members(Members),
    /// A control group with those below it, and the processes that were sampled in them.
    Group(GroupTree, HashSet<ProcessKey>),
}

impl Scope {
    /// A control group with those below it.
    #[must_use]
    pub fn group(groups: GroupTree) -> Self {
        Self::Group(groups, HashSet::new())
    }

    /// Takes note of an event, and returns whether it is of the recording. A loss always is: it is of the whole
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
            // No event says which group a process is in.
            Self::Group(_, sampled) => match event.transition {
                ProcessTransition::Freed => sampled.remove(&process),
                _ => sampled.contains(&process),
            },
        }
    }

    /// Takes note of the end of a batch.
    pub fn end_batch(&mut self) {
        if let Self::Members(members) = self {
            members.forget();
        }
    }

    /// The processes of it that have not ended; none of a scope that is no set of processes.
    #[must_use]
    pub fn running(&self) -> Vec<ProcessKey> {
        if let Self::Members(members) = self { members.running().collect() } else { Vec::new() }
    }

    /// True once nothing of it is left that could be sampled.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::Members(members) if members.has_ended())
    }
}
