//! The processes that ended in a window, and how long they lived.

use std::collections::HashMap;
use std::time::Duration;

use pdata::{ClockOffset, KTime, ProcessEvent, ProcessKey, ProcessTransition};

/// The processes that ended in a window.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    ends: HashMap<ProcessKey, KTime>,
}

impl Lives {
    /// Takes a process event.
    pub fn process(&mut self, event: &ProcessEvent) {
        if event.transition == ProcessTransition::Exit {
            // Two last threads may both report the end: the later one is it.
            let end = self.ends.entry(event.image.process).or_insert(event.at);
            *end = event.at.max(*end);
        }
    }

    /// True if the process has ended, sooner after its start than `span`. A process that still ran when the window
    /// closed has not ended.
    #[must_use]
    pub fn are_shorter(&self, process: ProcessKey, span: Duration, clock: ClockOffset) -> bool {
        let Some(&end) = self.ends.get(&process) else { return false };
        let (start, end) = (clock.unix_from_boot(process.start_time), clock.unix(end));
        Duration::from_nanos(end.as_nanos().saturating_sub(start.as_nanos())) < span
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ends.clear();
        // A rush of processes is not paid for ever after.
        self.ends.shrink_to(1024);
    }
}
