//! Runs of our programs that the kernel skipped.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pdata::LossReason;

use crate::counters::grown;
use crate::loader::{Programs, Skips};

/// Each look opens a file of `/proc` for each program.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Reads how often programs were skipped, and returns by how much that has grown.
#[derive(Debug, Default)]
pub(crate) struct Skipped {
    read: Option<Instant>,
    known: BTreeMap<&'static str, u64>,
}

impl Skipped {
    /// What was skipped since the last look. Nothing if that was a moment ago.
    pub(crate) fn losses(&mut self, programs: &Programs) -> Vec<(LossReason, u64)> {
        if self.read.is_some_and(|read| read.elapsed() < READ_EVERY) {
            return Vec::new();
        }
        self.read = Some(Instant::now());
        self.grown(programs.skips())
    }

    fn grown(&mut self, skips: Vec<Skips>) -> Vec<(LossReason, u64)> {
        let grown =
            |skips: Skips| (skips.reason, grown(self.known.entry(skips.program).or_default(), skips.count));
        skips.into_iter().map(grown).filter(|&(_, count)| count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_program_has_been_skipped_since_the_last_look_is_lost() {
        let reason = LossReason::LifecycleHookSkipped;
        let skips = |program, count| Skips { program, reason, count };
        let mut skipped = Skipped::default();
        assert_eq!(skipped.grown(vec![skips("on_exec", 3), skips("on_exit", 0)]), [(reason, 3)]);
        assert_eq!(skipped.grown(vec![skips("on_exit", 2), skips("on_exec", 4)]), [(reason, 2), (reason, 1)]);
        assert_eq!(skipped.grown(vec![skips("on_exec", 4)]), []);
    }
}
