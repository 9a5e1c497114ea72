//! Why files are not read.

use std::io;

use rustix::io::Errno;

use crate::message::Answer;

/// Why a file is not to be read.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is none, or something that is no regular file, or an empty one.
    #[error("there is no such file")]
    Gone,
    /// Something else is there.
    #[error("another file is there")]
    Unwanted,
    /// It is of a file system that the kernel makes up, such as proc and sysfs.
    #[error("it is of a file system that the kernel makes up, of kind {kind:#x}")]
    MadeUp {
        /// `f_type` of statfs(2).
        kind: u32,
    },
    /// Its mount is one from which nothing is executed.
    #[error("its mount is noexec")]
    NoExec,
    /// Its file system does not answer.
    #[error("its file system does not answer")]
    Silent,
    /// Finding and reading it takes longer than it may, though each answer came in time.
    #[error("it takes too long")]
    TooLong,
    /// Its file system has not answered before, and is skipped for now.
    #[error("its file system has not answered before")]
    Skipped,
    /// There is no reader, or none that works.
    #[error("no process to read files with")]
    NoReader(#[source] io::Error),
    /// Anything else.
    #[error("cannot open")]
    Open(#[source] io::Error),
}

pub(crate) fn unexpected(answer: &Answer<'_>) -> Refusal {
    let error = match answer {
        Answer::Failed(errno) => io::Error::from_raw_os_error(*errno),
        _ => return Refusal::NoReader(io::ErrorKind::InvalidData.into()),
    };
    // ENOENT from open; ESRCH from what is in /proc of a process that has ended; ENOTDIR and ELOOP of a path that has
    // changed.
    let gone =
        [Errno::NOENT, Errno::SRCH, Errno::NOTDIR, Errno::LOOP].map(|errno| Some(errno.raw_os_error()));
    if gone.contains(&error.raw_os_error()) { Refusal::Gone } else { Refusal::Open(error) }
}

pub(crate) fn as_error(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Silent | Refusal::TooLong => io::ErrorKind::TimedOut.into(),
        Refusal::Gone => io::ErrorKind::NotFound.into(),
        Refusal::Open(error) | Refusal::NoReader(error) => error,
        refusal => io::Error::other(refusal),
    }
}
