//! Messages between the agent and a reader: one datagram each way, at most one at a time.
//!
//! Numbers are of the machine's own byte order: both ends are the same binary.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Most bytes of a file that one answer holds.
pub(crate) const MAX_READ: usize = 128 << 10;
/// Most bytes of a message.
pub(crate) const MAX_MESSAGE: usize = MAX_READ + 64;

const FIND: u8 = 1;
const OPEN: u8 = 2;
const READ: u8 = 3;
const CLOSE: u8 = 4;
const LOOK: u8 = 5;
const LET_GO: u8 = 6;
const READ_PROC: u8 = 7;
const IDENTIFY: u8 = 8;

/// The byte of an identity that the kernel does not know; else that of a `bool`.
const UNKNOWN: u8 = 2;

const DONE: u8 = 0;
const FAILED: u8 = 1;
const MADE_UP: u8 = 2;
const NO_EXEC: u8 = 3;

/// A request to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Finds a file, and opens nothing.
    Find { root: Option<&'a Path>, path: &'a Path, follows_links: bool },
    /// Opens the file that has been found.
    Open(Content),
    /// Reads the file that has been opened.
    Read { at: u64, length: u32 },
    /// Reads from a file of a process in `/proc` that shows what the process has mapped.
    ReadProc { path: &'a Path, at: u64, length: u32 },
    /// Looks at the opened file again.
    Look,
    /// Asks the kernel whether the opened file has that identity, by the program that is sent along.
    Identify([u64; 5]),
    /// Closes the opened file.
    Close,
    /// Closes the opened file, and sends no answer: for a file whose closing waits for no server.
    LetGo,
}

/// The content that a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Code that a process has mapped: no file of a mount with `noexec` holds any.
    Code,
    /// Any other content.
    Data,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    Found(Found),
    Opened,
    Closed,
    Bytes(&'a [u8]),
    /// True if the file has the identity; `None` if the kernel does not say.
    Identified(Option<bool>),
    /// The operating system's error, by its number.
    Failed(i32),
    /// The file is of a file system that the kernel makes up, of this kind.
    MadeUp(u32),
    /// The file is of a mount from which nothing is executed.
    NoExec,
}

/// Facts of a file that has been found and not been opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Device, as stat(2) shows it: that of an overlay or a subvolume is its own.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the content, seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// Kind and permissions, as in `st_mode`.
    pub mode: u32,
    /// The mount on which the file was found, as in `/proc/PID/mountinfo`.
    pub mount: u64,
    /// The file's owner, as the agent's user namespace has it.
    pub uid: u32,
}

impl Request<'_> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Find { root, path, follows_links } => {
                let root = root.map_or(OsStr::new(""), Path::as_os_str).as_bytes();
                let length = u32::try_from(root.len()).unwrap_or(u32::MAX);
                [
                    &[FIND, u8::from(follows_links)][..],
                    &length.to_ne_bytes(),
                    root,
                    path.as_os_str().as_bytes(),
                ]
                .concat()
            }
            Self::Open(content) => vec![OPEN, u8::from(content == Content::Code)],
            Self::Look => vec![LOOK],
            Self::Identify(identity) => {
                [IDENTIFY].into_iter().chain(identity.into_iter().flat_map(u64::to_ne_bytes)).collect()
            }
            Self::Close => vec![CLOSE],
            Self::LetGo => vec![LET_GO],
            Self::Read { at, length } => [&[READ][..], &at.to_ne_bytes(), &length.to_ne_bytes()].concat(),
            Self::ReadProc { path, at, length } => {
                let path = path.as_os_str().as_bytes();
                [&[READ_PROC][..], &at.to_ne_bytes(), &length.to_ne_bytes(), path].concat()
            }
        }
    }
}

impl<'a> Request<'a> {
    /// Parses a request; `None` for bytes that are none.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, mut rest) = bytes.split_first()?;
        match tag {
            FIND => {
                let &[follows_links] = take(&mut rest)?;
                let length = usize::try_from(u32::from_ne_bytes(*take(&mut rest)?)).ok()?;
                let (root, path) = rest.split_at_checked(length)?;
                let root = (!root.is_empty()).then(|| Path::new(OsStr::from_bytes(root)));
                let path = Path::new(OsStr::from_bytes(path));
                Some(Self::Find { root, path, follows_links: follows_links != 0 })
            }
            OPEN => {
                let &[is_code] = take(&mut rest)?;
                Some(Self::Open(if is_code == 0 { Content::Data } else { Content::Code }))
            }
            LOOK => Some(Self::Look),
            IDENTIFY => {
                let mut number = || Some(u64::from_ne_bytes(*take(&mut rest)?));
                Some(Self::Identify([number()?, number()?, number()?, number()?, number()?]))
            }
            CLOSE => Some(Self::Close),
            LET_GO => Some(Self::LetGo),
            READ => {
                let at = u64::from_ne_bytes(*take(&mut rest)?);
                Some(Self::Read { at, length: u32::from_ne_bytes(*take(&mut rest)?) })
            }
            READ_PROC => {
                let at = u64::from_ne_bytes(*take(&mut rest)?);
                let length = u32::from_ne_bytes(*take(&mut rest)?);
                Some(Self::ReadProc { path: Path::new(OsStr::from_bytes(rest)), at, length })
            }
            _ => None,
        }
    }
}

impl<'a> Answer<'a> {
    pub(crate) fn encode(&self, request: &Request<'_>) -> Vec<u8> {
        let tag = match request {
            Request::Find { .. } => FIND,
            Request::Open(_) => OPEN,
            Request::Read { .. } | Request::ReadProc { .. } => READ,
            Request::Look => LOOK,
            Request::Identify(_) => IDENTIFY,
            Request::Close | Request::LetGo => CLOSE,
        };
        match *self {
            Self::Found(found) => {
                let (seconds, nanos) = found.modified;
                let numbers = [found.device, found.inode, found.size, found.mount, seconds.cast_unsigned()];
                let numbers = numbers.iter().flat_map(|number| number.to_ne_bytes());
                let halves = [nanos, found.mode, found.uid].into_iter().flat_map(u32::to_ne_bytes);
                [DONE, tag].into_iter().chain(numbers).chain(halves).collect()
            }
            Self::Opened | Self::Closed => vec![DONE, tag],
            Self::Bytes(bytes) => [&[DONE, tag][..], bytes].concat(),
            Self::Identified(is) => vec![DONE, tag, is.map_or(UNKNOWN, u8::from)],
            Self::Failed(errno) => [&[FAILED, tag][..], &errno.to_ne_bytes()].concat(),
            Self::MadeUp(kind) => [&[MADE_UP, tag][..], &kind.to_ne_bytes()].concat(),
            Self::NoExec => vec![NO_EXEC, tag],
        }
    }

    /// Parses an answer; `None` for bytes that are none.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let &[outcome, tag] = take(&mut rest)?;
        Some(match (outcome, tag) {
            (DONE, FIND | LOOK) => {
                let mut number = || Some(u64::from_ne_bytes(*take(&mut rest)?));
                let [device, inode, size, mount] = [number()?, number()?, number()?, number()?];
                let seconds = number()?.cast_signed();
                let mut half = || Some(u32::from_ne_bytes(*take(&mut rest)?));
                let [nanos, mode, uid] = [half()?, half()?, half()?];
                Self::Found(Found { device, inode, size, modified: (seconds, nanos), mode, mount, uid })
            }
            (DONE, OPEN) => Self::Opened,
            (DONE, CLOSE) => Self::Closed,
            (DONE, READ) => Self::Bytes(rest),
            (DONE, IDENTIFY) => {
                let &[is] = take(&mut rest)?;
                Self::Identified((is != UNKNOWN).then_some(is == u8::from(true)))
            }
            (FAILED, _) => Self::Failed(i32::from_ne_bytes(*take(&mut rest)?)),
            (MADE_UP, _) => Self::MadeUp(u32::from_ne_bytes(*take(&mut rest)?)),
            (NO_EXEC, _) => Self::NoExec,
            _ => return None,
        })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any bytes are a message or are refused.
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Request::parse(&bytes), Answer::parse(&bytes));
        }

        #[test]
        fn a_request_reads_as_it_was_written(
            root in "(/[a-zä]{0,9})?", path in "/[a-z]{0,9}", follows_links: bool, at: u64, length: u32,
            identity: [u64; 5],
        ) {
            let root = Some(Path::new(&root)).filter(|root| *root != Path::new(""));
            let find = Request::Find { root, path: Path::new(&path), follows_links };
            let opens = [Content::Code, Content::Data].map(Request::Open);
            let reads = [Request::Read { at, length }, Request::ReadProc { path: Path::new(&path), at, length }];
            for request in [find, opens[0], opens[1], reads[0], reads[1], Request::Look, Request::Close, Request::LetGo, Request::Identify(identity)] {
                let bytes = request.encode();
                prop_assert_eq!(Request::parse(&bytes), Some(request));
            }
        }

        #[test]
        fn an_answer_reads_as_it_was_written(
            numbers: [u64; 4], modified: (i64, u32), mode: u32, uid: u32, bytes: Vec<u8>, errno: i32, kind: u32,
            is: Option<bool>,
        ) {
            let [device, inode, size, mount] = numbers;
            let found = Found { device, inode, size, modified, mode, mount, uid };
            let find = Request::Find { root: None, path: Path::new("/"), follows_links: false };
            let read = Request::Read { at: 0, length: 0 };
            let open = Request::Open(Content::Code);
            for (request, answer) in [
                (find, Answer::Found(found)),
                (Request::Look, Answer::Found(found)),
                (Request::Identify([0; 5]), Answer::Identified(is)),
                (open, Answer::Opened),
                (Request::Close, Answer::Closed),
                (open, Answer::MadeUp(kind)),
                (open, Answer::NoExec),
                (read, Answer::Failed(errno)),
                (read, Answer::Bytes(&bytes)),
            ] {
                let bytes = answer.encode(&request);
                prop_assert_eq!(Answer::parse(&bytes), Some(answer));
            }
        }
    }
}
