//! Processes that the command has started and that run longer than the recording.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use pdata::{Pid, ProcessKey};
use procfs::ProcSource;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{self, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::sleep;

/// Pause between two checks whether processes have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Processes that the command has started and that had not ended when the recording did.
#[derive(Debug)]
pub(super) struct Descendants(Vec<OwnedFd>);

impl Descendants {
    /// The processes of `running` that still run, without the command itself.
    pub(super) fn of(running: &[ProcessKey], command: Pid) -> Self {
        let source = ProcSource::new("/proc");
        let others = running.iter().filter(|process| process.pid != command);
        let open = |process: &ProcessKey| {
            let pid = process::Pid::from_raw(process.pid.0.cast_signed())?;
            let opened = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            // Checked after opening, so that the descriptor is not of a later process with the same pid.
            source.check(*process).ok().map(|()| opened)
        };
        Self(others.filter_map(open).collect())
    }

    /// Asks all of these processes to end.
    pub(super) fn terminate(&self) {
        for process in &self.0 {
            // The process may have ended just now.
            let _gone = pidfd_send_signal(process, Signal::TERM);
        }
    }

    /// Number of these processes that still run.
    pub(super) fn running(&self) -> usize {
        let runs = |process: &&OwnedFd| {
            let mut ended = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
            matches!(poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
        };
        self.0.iter().filter(runs).count()
    }

    /// Waits until all of these processes have ended.
    pub(super) async fn ended(&self) {
        while self.running() > 0 {
            sleep(LOOK_AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use pdata::BootTime;

    use super::*;

    /// The key of the process with this pid as the kernel's events have it; `/proc` has its start in hundredths of a
    /// second.
    fn key(pid: u32) -> ProcessKey {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let ticks: u64 = rest.split(' ').nth(19).unwrap().parse().unwrap();
        ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(ticks * 10_000_000) }
    }

    #[tokio::test]
    async fn what_still_runs_is_asked_to_end_and_nobody_else() {
        let start = || Command::new("sleep").arg("1000").spawn().unwrap();
        let (mut command, mut one, mut two) = (start(), start(), start());
        let (known, other) = (key(one.id()), key(two.id()));
        // The second key is of an earlier process with the same pid.
        let other = ProcessKey { start_time: BootTime::from_nanos(1), ..other };
        let descendants = Descendants::of(&[key(command.id()), known, other], Pid(command.id()));
        assert_eq!(descendants.running(), 1);
        descendants.terminate();
        descendants.ended().await;
        assert_eq!(one.wait().unwrap().signal(), Some(15));
        assert!(command.try_wait().unwrap().is_none() && two.try_wait().unwrap().is_none());
        for child in [&mut command, &mut two] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
