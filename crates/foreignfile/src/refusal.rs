//! Refusals: reasons why files are not read.

use std::io;

use rustix::io::Errno;

use crate::message::Answer;

/// The reason why a file is not to be read.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The place has no file, or something that is no regular file, or an empty one where code is expected.
    #[error("there is no such file")]
    Gone,
    /// The place has another file than the wanted one.
    #[error("another file is there")]
    Unwanted,
    /// The file is of a file system that the kernel makes up, such as proc and sysfs.
    #[error("it is of a file system that the kernel makes up, of kind {kind:#x}")]
    MadeUp {
        /// `f_type` of statfs(2).
        kind: u32,
    },
    /// The file's mount is one from which nothing is executed.
    #[error("its mount is noexec")]
    NoExec,
    /// The file's file system does not answer.
    #[error("its file system does not answer")]
    Silent,
    /// Finding and reading the file takes longer than it may, though each answer came in time.
    #[error("it takes too long")]
    TooLong,
    /// The file's file system has not answered before, and is skipped for now.
    #[error("its file system has not answered before")]
    Skipped,
    /// The agent has no reader, or none that works.
    #[error("no process to read files with")]
    NoReader(#[source] io::Error),
    /// Any other error of opening.
    #[error("cannot open")]
    Open(#[source] io::Error),
}

pub(crate) fn unexpected(answer: &Answer<'_>) -> Refusal {
    let error = match answer {
        Answer::Failed(errno) => io::Error::from_raw_os_error(*errno),
        _ => return Refusal::NoReader(io::ErrorKind::InvalidData.into()),
    };
    // ENOENT from open; ESRCH from a file in /proc of a process that has ended; ENOTDIR and ELOOP of a path that has
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
