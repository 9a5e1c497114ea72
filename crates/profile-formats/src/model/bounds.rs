//! Bounds of a profile's memory.

/// Most entries of a profile's tables. Samples beyond them are counted under one stack, and in
/// [`Profile::beyond_bounds`](super::Profile::beyond_bounds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most distinct stacks, their callers included: nodes of the tree of stacks.
    pub stacks: usize,
    /// Most distinct samples, which differ in stack, task, CPU or kind of value.
    pub samples: usize,
    /// Most processes.
    pub processes: usize,
    /// Most bytes of names and paths.
    pub text_bytes: usize,
    /// Most instants of samples, if they are kept at all.
    pub captures: usize,
    /// Most events beside samples.
    pub markers: usize,
}

impl Default for Bounds {
    /// Bounds of about 256 MiB. A machine that does not fill this has tens of thousands of stacks.
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
