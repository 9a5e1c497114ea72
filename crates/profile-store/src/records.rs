//! What a sample is.

use crate::time::Tick;

/// What a sample measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Time on a CPU.
    #[default]
    OnCpu,
    /// Time for which a thread did not run.
    OffCpu,
}

/// How much a sample stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Weight {
    /// What it measures.
    pub kind: Kind,
    /// True if the stack lacks its outer frames.
    pub truncated: bool,
    /// Samples that it stands for: 1, unless they were added up before.
    pub samples: u64,
    /// Nanoseconds, or whatever the store's unit is.
    pub value: u64,
}

/// One sample, by numbers of the tables of its block and its generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub tick: Tick,
    /// Who: a number of the block's threads.
    pub task: u32,
    /// What, where, and how much: a number of the generation's patterns.
    pub pattern: u32,
    pub cpu: u16,
}
