//! A command that is held before its start, so that its first instructions are sampled, too.
//!
//! This binary is started as the process that is to become the command. The process waits for a byte on a pipe, becomes
//! the user that the command is to run as, and executes the command. If the recording never begins, the pipe closes and
//! the process ends.

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

/// The argument by which this binary becomes a held process.
const ARGUMENT: &str = "run-held-command";
/// Path of the executed file: this binary, even if another one has replaced it at its path.
const OWN_BINARY: &str = "/proc/self/exe";
/// Stands for the credentials of this process.
const SAME_USER: &str = "-";

/// A command that waits for its start.
#[derive(Debug)]
pub(super) struct Held {
    child: Child,
    /// Reading end of the pipe, held open because the process opens it by its path in `/proc`.
    _waits: PipeReader,
    go: PipeWriter,
}

impl Held {
    /// Starts the process that is to become `command`.
    ///
    /// # Errors
    /// The operating system's error.
    pub(super) fn start(command: &[OsString], user: Option<&User>) -> io::Result<Self> {
        let (waits, go) = pipe()?;
        let mut held = Command::new(OWN_BINARY);
        let pipe = format!("/proc/{}/fd/{}", process::id(), waits.as_raw_fd());
        held.arg0("pipeline").arg(ARGUMENT).arg(pipe).arg(credentials(user)).args(command);
        held.envs(user.into_iter().flat_map(|user| &user.environment).map(|(key, value)| (key, value)));
        Ok(Self { child: held.spawn()?, _waits: waits, go })
    }

    /// Pid of the process, which stays the same when the process becomes the command.
    pub(super) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// Lets the command run.
    ///
    /// # Errors
    /// The operating system's error. A process that is gone causes none: this process holds the reading end, too.
    pub(super) fn release(mut self) -> io::Result<(Child, PipeReader)> {
        self.go.write_all(b"!")?;
        Ok((self.child, self._waits))
    }
}

/// Runs a held command if this process has been started for one. `main` calls this first.
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

/// Waits for the start of the command; false if the recording never begins.
fn has_started(pipe: &OsStr) -> bool {
    // The file is closed when the command is executed.
    File::open(pipe).and_then(|mut pipe| pipe.read_exact(&mut [0])).is_ok()
}

/// The credentials of a user as text: `UID:GID:GROUP,...`.
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

/// Becomes a user for good. This process has one thread, so its credentials are those of the process.
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
