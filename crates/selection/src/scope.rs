//! What a recording is of.

use pdata::{Event, Sample};

use crate::groups::GroupTree;
use crate::members::Members;

/// What a recording is of.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Everything that runs.
    Machine,
    /// Some processes, perhaps with their descendants.
    Members(Members),
    /// A control group with those below it.
    Group(GroupTree),
}

impl Scope {
    /// Takes note of an event that is no sample.
    pub(crate) fn observe(&mut self, event: &Event) {
        if let (Self::Members(members), Event::Process(event)) = (self, event) {
            members.observe(event);
        }
    }

    /// True if the sample is wanted.
    pub(crate) fn wants(&mut self, sample: &Sample) -> bool {
        match self {
            Self::Machine => true,
            Self::Members(members) => members.contains(sample.key.process),
            Self::Group(groups) => groups.contains(sample.cgroup),
        }
    }

    /// True once nothing of it is left that could be sampled.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::Members(members) if members.has_ended())
    }

    /// Takes note of the end of a batch.
    pub(crate) fn end_of_batch(&mut self) {
        if let Self::Members(members) = self {
            members.forget();
        }
    }
}
