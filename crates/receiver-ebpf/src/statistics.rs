//! Statistics of BPF programs: number and time of their runs, as the kernel measures them.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};

use crate::loader::{Programs, Runs};
use crate::metrics;

/// Time between two readings. Reading a program's runs is a system call and cheap, but nobody looks more often.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Has the kernel measure while somebody wants it; before that, no request is made of it.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    /// The request to measure: the kernel measures for as long as the descriptor is open.
    measuring: Option<OwnedFd>,
    /// The last wish: a kernel that has refused is not asked again and again.
    wanted: bool,
    read: Option<Instant>,
    reported: Vec<Runs>,
}

impl Statistics {
    /// Starts or stops the measurement, and reads it about every second.
    pub(crate) fn apply(&mut self, wanted: bool, programs: &Programs) {
        if std::mem::replace(&mut self.wanted, wanted) != wanted {
            self.measuring = if wanted { start() } else { None };
        }
        let due = self.read.is_none_or(|read| read.elapsed() >= READ_EVERY);
        if self.measuring.is_some() && due {
            self.read = Some(Instant::now());
            self.report(programs.runs());
        }
    }

    /// Adds the runs since the last report to the metrics. The kernel counts from when the program was loaded; our
    /// metrics outlive that.
    fn report(&mut self, now: Vec<Runs>) {
        for runs in &now {
            let before = self.reported.iter().find(|before| before.program == runs.program);
            let (count, time) = before.map_or((0, Duration::ZERO), |before| (before.count, before.time));
            metrics::runs(runs.program, runs.count.saturating_sub(count), runs.time.saturating_sub(time));
        }
        self.reported = now;
    }
}

fn start() -> Option<OwnedFd> {
    match enable_stats(Stats::RunTime) {
        Ok(measuring) => Some(measuring),
        Err(error) => {
            // The kernel asks for CAP_SYS_ADMIN, which no other part of the agent needs.
            tracing::warn!(%error, "The kernel does not measure BPF programs for this agent: grant CAP_SYS_ADMIN, or do without.");
            None
        }
    }
}
