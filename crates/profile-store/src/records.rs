//! Samples as a block holds them, and their weights.

use crate::time::Tick;

/// The measure of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Time on a CPU.
    #[default]
    OnCpu,
    /// Time for which a thread did not run.
    OffCpu,
}

/// The number and value that a sample stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Weight {
    /// The measure of the sample.
    pub kind: Kind,
    /// True if the stack lacks its outer frames.
    pub truncated: bool,
    /// Number of samples that this one stands for: 1, unless a file had added them up.
    pub samples: u64,
    /// The sample's value in the store's unit: nanoseconds unless a file has another.
    pub value: u64,
}

/// One sample, as numbers in the tables of its block and its generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub tick: Tick,
    /// Number of the thread in the block.
    pub task: u32,
    /// Number of the pattern in the generation: executable, stack and weight.
    pub pattern: u32,
    pub cpu: u16,
}
