//! The reader's end: it serves one request at a time, and may be stuck in it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::kind;
use crate::message::{Answer, Content, Found, MAX_MESSAGE, MAX_READ, Request};
use crate::socket::{receive_with, send_with};

/// A way to ask the kernel whether the open file is the one of an identity, by a program of its own that the agent has
/// loaded; `None` if the kernel does not answer.
pub type IdentifyBy = fn(program: BorrowedFd<'_>, opened: &File, identity: [u64; 5]) -> Option<bool>;

/// Flags of finding a file, which opens nothing. A FIFO may be at the path, whose open would wait, or a device, whose
/// open may do anything: `/dev/watchdog` restarts the machine.
const FIND: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// Flags of opening a file. NONBLOCK: an open waits for a lease on the file, too.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// `ST_NOEXEC` of statfs(2).
const NO_EXEC: u64 = 8;

/// Answers requests until the agent closes its end; asks for identities by `identify`, if it can.
pub(crate) fn serve(socket: impl AsFd, identify: Option<IdentifyBy>) {
    let mut reader = FileServer { identify, ..FileServer::default() };
    let mut request = vec![0; MAX_MESSAGE];
    loop {
        let (length, program) = match receive_with(&socket, &mut request, RecvFlags::empty()) {
            Ok(received) => received,
            Err(Errno::INTR) => continue,
            Err(_) => return,
        };
        // No bytes mean the end: each request has some.
        let Some(request) = request.get(..length).and_then(Request::parse) else { return };
        if request == Request::LetGo {
            reader.opened = None;
            continue;
        }
        reader.program = program;
        let answer = reader.act(&request).unwrap_or_else(|errno| Answer::Failed(errno.raw_os_error()));
        let answer = answer.encode(&request);
        if send_with(&socket, &answer, reader.shared(), SendFlags::empty()).is_err() {
            return;
        }
    }
}

/// The server of one file at most: the found one, or the opened one.
#[derive(Debug, Default)]
struct FileServer {
    /// True if the file has just been opened, and may be sent to the agent.
    shares: bool,
    found: Option<OwnedFd>,
    opened: Option<File>,
    bytes: Vec<u8>,
    identify: Option<IdentifyBy>,
    /// The program that came with the request at hand.
    program: Option<OwnedFd>,
}

impl FileServer {
    /// The file to send to the agent with the answer at hand.
    fn shared(&self) -> Option<BorrowedFd<'_>> {
        self.opened.as_ref().filter(|_| self.shares).map(AsFd::as_fd)
    }

    /// Reads as much of a file of `/proc` as there is, up to `length`: one read of such a file returns a page at most.
    fn read_proc(&mut self, path: &Path, at: u64, length: u32) -> Result<Answer<'_>, Errno> {
        let file = File::from(rustix::fs::open(path, READ, Mode::empty())?);
        self.bytes.clear();
        self.bytes.resize(usize::try_from(length).unwrap_or(MAX_READ).min(MAX_READ), 0);
        let mut read = 0;
        while let Some(rest) = self.bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, at.saturating_add(read.try_into().unwrap_or(u64::MAX))) {
                Ok(0) => break,
                Ok(more) => read += more,
                // Memory behind the last address that was read is not there.
                Err(_) if read > 0 => break,
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            }
        }
        Ok(Answer::Bytes(self.bytes.get(..read).unwrap_or_default()))
    }

    fn act(&mut self, request: &Request<'_>) -> Result<Answer<'_>, Errno> {
        self.shares = false;
        match *request {
            Request::Find { root, path, follows_links } => {
                self.found = None;
                let found = find(root, path, follows_links)?;
                let facts = facts(&found)?;
                self.found = Some(found);
                Ok(Answer::Found(facts))
            }
            Request::Open(content) => {
                let found = self.found.take().ok_or(Errno::BADF)?;
                let system = rustix::fs::fstatfs(&found)?;
                let kind = u32::try_from(system.f_type & 0xffff_ffff).unwrap_or_default();
                if !kind::is_readable(kind) {
                    return Ok(Answer::MadeUp(kind));
                }
                let no_exec = u64::try_from(system.f_flags).unwrap_or_default() & NO_EXEC != 0;
                if no_exec && content == Content::Code {
                    return Ok(Answer::NoExec);
                }
                let link = format!("/proc/self/fd/{}", found.as_raw_fd());
                self.opened = Some(File::from(rustix::fs::open(link, READ, Mode::empty())?));
                self.shares = kind::is_local(kind);
                Ok(Answer::Opened)
            }
            Request::Look => Ok(Answer::Found(facts(self.opened.as_ref().ok_or(Errno::BADF)?)?)),
            Request::Close | Request::LetGo => {
                self.opened = None;
                Ok(Answer::Closed)
            }
            Request::Identify(identity) => {
                let opened = self.opened.as_ref().ok_or(Errno::BADF)?;
                let way = self.identify.zip(self.program.as_ref());
                let is = way.and_then(|(identify, program)| identify(program.as_fd(), opened, identity));
                Ok(Answer::Identified(is))
            }
            Request::ReadProc { path, at, length } => self.read_proc(path, at, length),
            Request::Read { at, length } => {
                let file = self.opened.as_ref().ok_or(Errno::BADF)?;
                let length = usize::try_from(length).unwrap_or(MAX_READ).min(MAX_READ);
                self.bytes.resize(length, 0);
                let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
                let read = file.read_at(&mut self.bytes, at).map_err(failed)?;
                Ok(Answer::Bytes(self.bytes.get(..read).unwrap_or_default()))
            }
        }
    }
}

fn find(root: Option<&Path>, path: &Path, follows_links: bool) -> Result<OwnedFd, Errno> {
    let links = if follows_links { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
    let Some(root) = root else {
        return rustix::fs::openat2(rustix::fs::CWD, path, FIND, Mode::empty(), links);
    };
    let root = rustix::fs::open(root, FIND | OFlags::DIRECTORY, Mode::empty())?;
    // A link on the way is resolved within that root.
    rustix::fs::openat2(root, path, FIND, Mode::empty(), links | ResolveFlags::IN_ROOT)
}

/// The facts of a file that the kernel has in memory.
pub(crate) fn facts(found: impl AsFd) -> Result<Found, Errno> {
    // By the facts in its memory the kernel knows the mapped file, and asking for them asks no server.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(found, "", flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
    Ok(Found {
        device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        size: stat.stx_size,
        modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        mode: stat.stx_mode.into(),
        mount: stat.stx_mnt_id,
        uid: stat.stx_uid,
    })
}
