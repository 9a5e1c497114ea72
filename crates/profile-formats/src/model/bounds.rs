//! How much a profile may hold.

/// How much a profile may hold. What is beyond is counted under one stack, and the profile says how much that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Distinct stacks, their callers included: nodes of the tree of stacks.
    pub stacks: usize,
    /// Distinct samples, which differ in stack, task, CPU or kind of value.
    pub samples: usize,
    /// Processes.
    pub processes: usize,
    /// Bytes of names and paths.
    pub text_bytes: usize,
    /// Instants at which samples were taken, if they are kept at all.
    pub captures: usize,
    /// Events beside samples.
    pub markers: usize,
}

impl Default for Bounds {
    /// About 256 MiB at most. A machine that does not fill this has tens of thousands of stacks.
    fn default() -> Self {
        Self {
            stacks: 1 << 20,
            samples: 1 << 20,
            processes: 1 << 16,
            text_bytes: 64 << 20,
            captures: 1 << 22,
            markers: 1 << 16,
        }
    }
}
