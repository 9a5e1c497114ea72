//! How many bytes of stacks the receiver holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes at most, wherever they are.
const MAX_BYTES: usize = 16 << 20;

/// Counts the bytes of all stacks that are held.
#[derive(Clone, Debug, Default)]
pub(crate) struct StackBudget(Arc<AtomicUsize>);

impl StackBudget {
    /// Counts bytes until the answer is dropped; `None` if there are too many already.
    pub(crate) fn admit(&self, bytes: usize) -> Option<CountedBytes> {
        let counted = CountedBytes { bytes, of: self.clone() };
        // What is dropped below is taken off again.
        (self.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= MAX_BYTES).then_some(counted)
    }
}

/// Bytes that are part of a budget for as long as this is there.
#[derive(Debug)]
pub(crate) struct CountedBytes {
    bytes: usize,
    of: StackBudget,
}

impl Drop for CountedBytes {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_makes_room() {
        let budget = StackBudget::default();
        let most = budget.admit(MAX_BYTES);
        assert!(most.is_some() && budget.admit(1).is_none() && budget.admit(1).is_none());
        drop(most);
        assert!(budget.admit(MAX_BYTES).is_some());
    }
}
