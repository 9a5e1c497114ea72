//! The agent's end of a reader: starting one, asking it, and leaving it if it does not answer.

use std::env;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, send, socketpair};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::message::{MAX_MESSAGE, Request};
use crate::serve::{IdentifyBy, serve};
use crate::socket::{receive_with, send_with};

/// The argument by which this binary becomes a reader.
const ARGUMENT: &str = "read-foreign-files";
/// The path of the executed binary: this one, even if another has come to its path.
const OWN_BINARY: &str = "/proc/self/exe";

/// True if this binary begins with [`serve_if_asked`].
static CAN_BE_READER: AtomicBool = AtomicBool::new(false);

/// Makes this process a reader if it has been started as one, until the agent that started it has ended; true if it was
/// a reader. For the first line of `main`: a binary that does not call it reads on a thread instead, which has no way
/// to `identify` a file.
#[must_use]
pub fn serve_if_asked(identify: IdentifyBy) -> bool {
    if env::args_os().nth(1).is_none_or(|argument| argument != ARGUMENT) {
        CAN_BE_READER.store(true, Ordering::Relaxed);
        return false;
    }
    // The reader ends with the agent, which may have much to read before it does.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let _kept = signal_hook::flag::register(signal, Arc::default());
    }
    let _unnamed = rustix::thread::set_name(c"file-reader");
    serve(io::stdin(), Some(identify));
    true
}

/// A reader, and the way to it.
#[derive(Debug)]
pub(crate) struct ReaderProcess {
    socket: OwnedFd,
    life: Life,
    /// The file that came with the last answer.
    shared: Option<OwnedFd>,
}

/// The life of a reader, by which it is ended.
#[derive(Debug)]
pub(crate) enum Life {
    Process(Child),
    /// A reader on a thread, if no process can be started. A reader that is stuck in a thread keeps the agent from its
    /// end.
    Thread(JoinHandle<()>),
}

/// The reason why a request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The reader has not answered in time.
    Silent,
    /// The reader has gone, or its answers make no sense.
    Gone,
}

impl ReaderProcess {
    /// Starts a reader.
    ///
    /// # Errors
    /// The operating system's error.
    pub(crate) fn start() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (socket, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let life = if CAN_BE_READER.load(Ordering::Relaxed) {
            let mut command = Command::new(OWN_BINARY);
            command.arg0("pipeline").arg(ARGUMENT).current_dir("/");
            // A group of its own: Ctrl-C is for the agent.
            command.process_group(0).stdin(Stdio::from(other)).stdout(Stdio::null()).stderr(Stdio::null());
            Life::Process(command.spawn()?)
        } else {
            let serve = move || serve(&other, None);
            Life::Thread(thread::Builder::new().name("file-reader".to_owned()).spawn(serve)?)
        };
        Ok(Self { socket, life, shared: None })
    }

    /// Sends the reader a request that has no answer. A reader that does not receive it catches up at the next request.
    pub(crate) fn note(&self, request: &Request<'_>) {
        let _unsent = send(&self.socket, &request.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    /// Sends the reader a request, and a file with it, and waits for the answer. Returns the length of the answer.
    pub(crate) fn ask(
        &mut self,
        (request, with): (&Request<'_>, Option<BorrowedFd<'_>>),
        answer: &mut Vec<u8>,
        until: Instant,
    ) -> Result<usize, NoAnswer> {
        let sent = send_with(&self.socket, &request.encode(), with, SendFlags::DONTWAIT);
        sent.map_err(|_errno| NoAnswer::Gone)?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(|_too_long| NoAnswer::Silent)?;
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(NoAnswer::Silent),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Err(NoAnswer::Gone),
            }
        }
        answer.resize(MAX_MESSAGE, 0);
        let received = receive_with(&self.socket, answer, RecvFlags::DONTWAIT);
        let (length, shared) = received.map_err(|_errno| NoAnswer::Gone)?;
        self.shared = shared;
        Ok(length)
    }

    /// The file that came with the last answer, if one did.
    pub(crate) fn take_shared(&mut self) -> Option<OwnedFd> {
        self.shared.take()
    }

    /// Replaces the socket, so that no reader is at the other end any more.
    #[cfg(test)]
    pub(crate) fn disconnect(&mut self, socket: OwnedFd) {
        self.socket = socket;
    }

    /// Ends the reader, if it can be ended.
    pub(crate) fn leave(self) -> Life {
        let mut life = self.life;
        if let Life::Process(child) = &mut life {
            // The reader may have ended already.
            let _ended = child.kill();
        }
        life
    }
}

impl Life {
    /// True if the reader has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        match self {
            Self::Process(child) => !matches!(child.try_wait(), Ok(None)),
            Self::Thread(thread) => thread.is_finished(),
        }
    }
}
