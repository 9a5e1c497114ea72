//! The recorded command while it runs.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::timeout;

use super::held::Held;

/// Added to the number of the signal that ended a command, to make an exit code, as shells do.
const SIGNALLED: i32 = 128;

/// The recorded command while it runs.
#[derive(Debug)]
pub(super) struct RunningCommand {
    child: Child,
    /// Descriptor of the process: signals sent by it reach no other process.
    pidfd: OwnedFd,
    /// Stream with an item soon after any child of this process has ended.
    children: SignalStream,
    _waits: PipeReader,
}

impl RunningCommand {
    /// Lets a held command run.
    ///
    /// # Errors
    /// The operating system's error.
    pub(super) fn start(held: Held) -> io::Result<Self> {
        let pid = Pid::from_raw(held.pid().0.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        // The stream is made before the command can end.
        let children = signal(SignalKind::child())?;
        let (child, waits) = held.release()?;
        Ok(Self { child, pidfd, children, _waits: waits })
    }

    /// Waits for the end of the command. May be cancelled and called again.
    ///
    /// # Errors
    /// The operating system's error.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            self.children.recv().await;
        }
    }

    /// The same as [`ended`](Self::ended), for at most `time`; `None` if the command still runs then.
    pub(super) async fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        timeout(time, self.ended()).await.ok()?.ok()
    }

    /// Asks the command to end.
    pub(super) fn terminate(&self) {
        // The command may have ended just now.
        let _gone = pidfd_send_signal(&self.pidfd, Signal::TERM);
    }

    /// Pid of the command.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// The exit code that reports how a command has ended.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(SIGNALLED + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_passed_on_and_a_signal_as_shells_do() {
        assert_eq!((code(ExitStatus::from_raw(3 << 8)), code(ExitStatus::from_raw(0))), (3, 0));
        assert_eq!((code(ExitStatus::from_raw(9)), code(ExitStatus::from_raw(2 | 0x80))), (137, 130));
    }
}
