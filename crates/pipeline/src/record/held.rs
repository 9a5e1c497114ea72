//! A command that is there but does not run yet: what it does first is to be sampled, too.
//!
//! This binary is started as the process that is to become the command. It waits for a byte on a pipe, becomes the user
//! that the command is to run as, and executes it. Should the recording never begin, the pipe closes and the process
//! ends.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Child, Command, ExitCode};

use pdata::Pid;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::program::ProgramError;
use super::user::User;

/// The argument by which this binary becomes such a process.
const ARGUMENT: &str = "run-held-command";
/// What is executed: this binary, even if another has come to its path.
const OWN_BINARY: &str = "/proc/self/exe";
/// In the place of credentials: those of this process.
const SAME_USER: &str = "-";

/// A command that waits for its start.
#[derive(Debug)]
pub(super) struct Held {
    child: Child,
    /// Held open: the process opens it by its path in `/proc`.
    _waits: PipeReader,
    go: PipeWriter,
}

impl Held {
    /// Starts the process that is to become `command`.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(command: &[OsString], user: Option<&User>) -> io::Result<Self> {
        let (waits, go) = pipe()?;
        let mut held = Command::new(OWN_BINARY);
        let pipe = format!("/proc/{}/fd/{}", process::id(), waits.as_raw_fd());
        held.arg0("pipeline").arg(ARGUMENT).arg(pipe).arg(credentials(user)).args(command);
        held.envs(user.into_iter().flat_map(|user| &user.environment).map(|(key, value)| (key, value)));
        Ok(Self { child: held.spawn()?, _waits: waits, go })
    }

    /// The process, which stays the same when it becomes the command.
    pub(super) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// Lets the command run.
    ///
    /// # Errors
    /// What the system says. That the process is gone is no error here: this process holds the reading end, too.
    pub(super) fn release(mut self) -> io::Result<(Child, PipeReader)> {
        self.go.write_all(b"!")?;
        Ok((self.child, self._waits))
    }
}

/// Runs a held command if this process has been started for one. For the first lines of `main`.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let (pipe, credentials) = (arguments.next()?, arguments.next()?);
    let (program, arguments) = (arguments.next()?, arguments);
    if !has_started(&pipe) {
        return Some(ExitCode::FAILURE);
    }
    if let Err(error) = become_user(&credentials) {
        eprintln!("Error: cannot become the user that the command is to run as: {error}");
        return Some(ExitCode::FAILURE);
    }
    let error = ProgramError::of(&program, Command::new(&program).args(arguments).exec());
    eprintln!("Error: {error}");
    Some(ExitCode::from(error.code()))
}

/// Waits until the command is to run; false if it never is.
fn has_started(pipe: &OsStr) -> bool {
    // Closed when the command is executed.
    File::open(pipe).and_then(|mut pipe| pipe.read_exact(&mut [0])).is_ok()
}

/// `UID:GID:GROUP,...` of a user.
fn credentials(user: Option<&User>) -> String {
    let Some(User { uid, gid, groups, .. }) = user else { return SAME_USER.to_owned() };
    let groups: Vec<_> = groups.iter().map(ToString::to_string).collect();
    format!("{uid}:{gid}:{}", groups.join(","))
}

fn parse(credentials: &str) -> Option<(u32, u32, Vec<u32>)> {
    let mut parts = credentials.split(':');
    let (uid, gid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let groups = parts.next()?.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((uid, gid, groups))
}

/// Becomes a user for good. This process has one thread, so that of it is that of the process.
fn become_user(credentials: &OsStr) -> io::Result<()> {
    if credentials == SAME_USER {
        return Ok(());
    }
    let parsed = credentials.to_str().and_then(parse);
    let (uid, gid, groups) = parsed.ok_or(io::ErrorKind::InvalidInput)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let groups: Vec<_> = groups.into_iter().map(Gid::from_raw).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_they_are_written() {
        let user = User { uid: 7, gid: 8, groups: vec![8, 9], environment: Vec::new() };
        assert_eq!(parse(&credentials(Some(&user))), Some((7, 8, vec![8, 9])));
        assert_eq!(credentials(None), SAME_USER);
        for text in ["", "-", "7", "7:8", "7:8:", "7:8:x", "x:8:9"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
