//! Opening files through a reader.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesource::ByteSource;
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::message::{Answer, Found, MAX_READ, Request};
use crate::mounts::Mounts;
use crate::process::{NoAnswer, Reader};
use crate::quarantine::{Quarantine, Source};
use crate::serve::facts;

/// Longest to wait for one answer. A disk that has to spin up takes longer, and is asked again later.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The agent's own directory in `/proc`.
const OWN: &str = "/proc/self";

/// Where a file is to be found.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A link of `/proc` that leads to the file itself, whatever its name, such as `/proc/PID/map_files/RANGE`.
    Link {
        /// The link.
        link: &'a Path,
        /// The process's directory in `/proc`.
        process: &'a Path,
        /// Device of the file that is expected there, major and minor, if that is known.
        device: Option<(u32, u32)>,
    },
    /// A path without links, as a process sees it.
    Seen {
        /// The process's or the thread's directory in `/proc`.
        process: &'a Path,
        /// The path.
        path: &'a Path,
    },
    /// A path as the agent sees it.
    Own {
        /// The path.
        path: &'a Path,
        /// Whether links are followed: not if somebody else chose the path.
        follows_links: bool,
    },
}

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

/// Opens files, one at a time. A reader of its own is started with the first.
#[derive(Debug)]
pub struct Files {
    quarantine: Arc<Quarantine>,
    reader: Option<Reader>,
    answer: Vec<u8>,
    answer_within: Duration,
    /// How long the answers for one file have taken.
    waited: Duration,
}

impl Files {
    /// Opens files, and shares with others what is known of file systems that do not answer.
    #[must_use]
    pub fn new(quarantine: Arc<Quarantine>) -> Self {
        Self {
            quarantine,
            reader: None,
            answer: Vec::new(),
            answer_within: ANSWER_WITHIN,
            waited: Duration::ZERO,
        }
    }

    /// Waits that long for each answer: on a busy machine even memory may take its time.
    pub fn wait_for_answers(&mut self, answer_within: Duration) {
        self.answer_within = answer_within;
    }

    /// Opens the regular file at a place, if `is_wanted` says so of what is found. Nothing of it is read before.
    /// All that is read of it is to be read `within` that time.
    ///
    /// # Errors
    /// Why it is not to be read.
    pub fn open(
        &mut self,
        place: Place<'_>,
        within: Duration,
        is_wanted: impl Fn(&Found) -> bool,
    ) -> Result<Opened<'_>, Refusal> {
        self.open_first([place], within, |found, _place| is_wanted(found))
    }

    /// As [`open`](Self::open), at the first of several places where the wanted file is.
    ///
    /// # Errors
    /// Why it is not to be read; of several reasons the first that says more than that the file is gone.
    pub fn open_first<'a>(
        &mut self,
        places: impl IntoIterator<Item = Place<'a>>,
        within: Duration,
        is_wanted: impl Fn(&Found, Place<'a>) -> bool,
    ) -> Result<Opened<'_>, Refusal> {
        self.waited = Duration::ZERO;
        let until = Instant::now() + within;
        let mut refused = Refusal::Gone;
        for place in places {
            match self.open_at(place, until, &is_wanted) {
                Ok((found, origin, shared)) => {
                    return Ok(Opened { files: self, origin, found, shared, until, at: 0 });
                }
                // What does not answer is not asked again by another name.
                Err(refusal @ (Refusal::Silent | Refusal::Skipped)) => return Err(refusal),
                Err(refusal) if matches!(refused, Refusal::Gone) => refused = refusal,
                Err(_less) => {}
            }
        }
        Err(refused)
    }

    fn open_at<'a>(
        &mut self,
        place: Place<'a>,
        until: Instant,
        is_wanted: &impl Fn(&Found, Place<'a>) -> bool,
    ) -> Result<(Found, Origin, Option<File>), Refusal> {
        let (found, origin) = self.find(place, until)?;
        if !FileType::from_raw_mode(found.mode).is_file() || found.size == 0 {
            // No code was mapped from an empty one, and what pretends to be empty, as the files of /proc do, may do
            // anything.
            return Err(Refusal::Gone);
        }
        if !is_wanted(&found, place) {
            return Err(Refusal::Unwanted);
        }
        match self.ask(&Request::Open, &origin, until)? {
            Answer::Opened => {}
            Answer::MadeUp(kind) => return Err(Refusal::MadeUp { kind }),
            Answer::NoExec => return Err(Refusal::NoExec),
            answer => return Err(unexpected(&answer)),
        }
        self.quarantine.answered(origin.source);
        let shared = self.reader.as_mut().and_then(Reader::take_shared).map(File::from);
        Ok((found, origin, shared))
    }

    /// Finds out what is at a place, which opens nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn look(&mut self, place: Place<'_>) -> Result<Found, Refusal> {
        Ok(self.find(place, Instant::now() + self.answer_within)?.0)
    }

    /// Ends the reader; another is started when it is needed.
    pub fn rest(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.quarantine.end(reader.leave());
        }
    }

    /// What is at a place, and what to hold responsible if it does not answer when it is read.
    fn find(&mut self, place: Place<'_>, until: Instant) -> Result<(Found, Origin), Refusal> {
        let way = Origin::of_way(place);
        if !self.quarantine.may_ask(way.source) {
            return Err(Refusal::Skipped);
        }
        if self.reader.is_none() {
            self.reader = Some(Reader::start().map_err(Refusal::NoReader)?);
        }
        let root;
        let request = match place {
            Place::Link { link, .. } => Request::Find { root: None, path: link, follows_links: true },
            Place::Own { path, follows_links } => Request::Find { root: None, path, follows_links },
            Place::Seen { process, path } => {
                root = process.join("root");
                Request::Find { root: Some(&root), path, follows_links: false }
            }
        };
        let found = match self.ask(&request, &way, until)? {
            Answer::Found(found) => found,
            answer => return Err(unexpected(&answer)),
        };
        if matches!(way.source, Source::Paths { .. }) {
            self.quarantine.answered(way.source);
        }
        let source = Source::Device(found.device);
        if !self.quarantine.may_ask(source) {
            return Err(Refusal::Skipped);
        }
        Ok((found, Origin { source, mount: Some(found.mount), process: way.process }))
    }

    /// Asks the reader, unless it is too late for the file. A reader that does not answer is left, and what it was
    /// asked of is skipped for a while: if one answer does not come in time, or all together have taken as long as one
    /// may. What the agent itself takes between two questions is not held against a file system.
    fn ask(&mut self, request: &Request<'_>, origin: &Origin, until: Instant) -> Result<Answer<'_>, Refusal> {
        let Some(reader) = &mut self.reader else { return Err(Refusal::Silent) };
        let asked = Instant::now();
        if asked >= until && self.waited < self.answer_within {
            return Err(Refusal::TooLong);
        }
        let until = asked + if asked < until { self.answer_within } else { Duration::ZERO };
        // Asked for in two steps, since what is borrowed for an answer cannot be given back for a failure.
        let answered = reader.ask(request, &mut self.answer, until);
        self.waited += asked.elapsed();
        let failure = match answered {
            Ok(length) => match self.answer.get(..length).and_then(Answer::parse) {
                Some(answer) => return Ok(answer),
                None => NoAnswer::Gone,
            },
            Err(failure) => failure,
        };
        let Some(reader) = self.reader.take() else { return Err(Refusal::Silent) };
        match failure {
            NoAnswer::Silent => {
                let name = origin.name();
                let skip = self.quarantine.silent(origin.source, name.clone(), reader.leave());
                tracing::warn!(
                    file_system = name,
                    skipped_for = ?skip,
                    "A file system does not answer: its files are not read for a while."
                );
                Err(Refusal::Silent)
            }
            NoAnswer::Gone => {
                self.quarantine.end(reader.leave());
                Err(Refusal::NoReader(io::ErrorKind::ConnectionReset.into()))
            }
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.rest();
    }
}

fn unexpected(answer: &Answer<'_>) -> Refusal {
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

/// What may not answer, and how to find its name then.
#[derive(Clone, Debug)]
struct Origin {
    source: Source,
    /// The process that sees it, by its directory in `/proc`.
    process: PathBuf,
    /// The mount, if it is known.
    mount: Option<u64>,
}

impl Origin {
    /// What lies on the way to a place.
    fn of_way(place: Place<'_>) -> Self {
        let (process, path) = match place {
            Place::Link { process, device, .. } => {
                // Such a link is no path: nothing but the file itself is asked.
                let source = match device {
                    Some((major, minor)) => Source::Device(rustix::fs::makedev(major, minor)),
                    None => Source::Process(inode(process)),
                };
                return Self { source, process: process.to_owned(), mount: None };
            }
            Place::Seen { process, path } => (process, path),
            Place::Own { path, .. } => (Path::new(OWN), path),
        };
        let namespace = inode(&process.join("ns/mnt"));
        let mounts = Mounts::of(process).unwrap_or_default();
        let mount = mounts.by_path(path);
        let device = mount.map_or((0, 0), |mount| mount.device);
        let source = Source::Paths { namespace, device };
        Self { source, process: process.to_owned(), mount: mount.map(|mount| mount.id) }
    }

    /// Its name in messages. Whoever mounts something chooses how the place is called.
    fn name(&self) -> String {
        let device = match self.source {
            Source::Device(device) => (rustix::fs::major(device), rustix::fs::minor(device)),
            Source::Paths { device, .. } => device,
            Source::Process(_) => return format!("that of what {} leads to", self.process.display()),
        };
        let (major, minor) = device;
        for process in [&*self.process, Path::new(OWN)] {
            let mounts = Mounts::of(process).unwrap_or_default();
            let by_id = self.mount.and_then(|id| mounts.by_id(id));
            if let Some(mount) = by_id.or_else(|| mounts.by_device(device)) {
                let (kind, point) = (mount.kind.escape_debug(), mount.point.as_os_str().to_string_lossy());
                return format!("{kind} at {:?} (device {major}:{minor})", &*point);
            }
        }
        format!("device {major}:{minor}")
    }
}

/// The inode of an entry of `/proc`; 0 if it is gone.
fn inode(entry: &Path) -> u64 {
    fs::metadata(entry).map_or(0, |entry| entry.ino())
}

/// A file that has been opened, and is closed when this is dropped.
#[derive(Debug)]
pub struct Opened<'a> {
    files: &'a mut Files,
    origin: Origin,
    found: Found,
    shared: Option<File>,
    until: Instant,
    at: u64,
}

impl Opened<'_> {
    /// What was found of it before it was opened.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The file itself, to be compared with others: only of file systems of this machine that ask nobody when it is
    /// read or closed.
    #[must_use]
    pub fn shared(&self) -> Option<&File> {
        self.shared.as_ref()
    }

    /// True if the file is still as it was found. Asked after reading, it says that all that was read belongs together.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    pub fn is_unchanged(&mut self) -> io::Result<bool> {
        if let Some(file) = &self.shared {
            return Ok(facts(file)? == self.found);
        }
        match self.files.ask(&Request::Look, &self.origin, self.until).map_err(as_error)? {
            Answer::Found(found) => Ok(found == self.found),
            answer => Err(as_error(unexpected(&answer))),
        }
    }

    /// The file as a source of bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes<Self> {
        Bytes { size: self.found.size, opened: RefCell::new(self) }
    }

    /// Reads bytes at a position; fewer than there is room for at its end, or if it is a lot.
    ///
    /// # Errors
    /// What the system says; `TimedOut` if the file system does not answer, or reading the file takes too long.
    pub fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(file) = &self.shared {
            // Nobody has to answer for this machine's own disks and memory, and asking for each piece of a file would
            // take longer than reading it.
            return if Instant::now() < self.until {
                file.read_at(buffer, at)
            } else {
                Err(as_error(Refusal::TooLong))
            };
        }
        let length = u32::try_from(buffer.len().min(MAX_READ)).unwrap_or_default();
        let answer = self.files.ask(&Request::Read { at, length }, &self.origin, self.until);
        match answer.map_err(as_error)? {
            Answer::Bytes(bytes) => {
                buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Ok(bytes.len().min(buffer.len()))
            }
            answer => Err(as_error(unexpected(&answer))),
        }
    }
}

fn as_error(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Silent | Refusal::TooLong => io::ErrorKind::TimedOut.into(),
        Refusal::Gone => io::ErrorKind::NotFound.into(),
        Refusal::Open(error) | Refusal::NoReader(error) => error,
        refusal => io::Error::other(refusal),
    }
}

/// A file that has been opened, as a source of bytes.
#[derive(Debug)]
pub struct Bytes<O> {
    size: u64,
    opened: RefCell<O>,
}

impl<O> Bytes<O> {
    /// The file again.
    pub fn into_inner(self) -> O {
        self.opened.into_inner()
    }
}

impl ByteSource for Bytes<Opened<'_>> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (mut opened, mut read) = (self.opened.borrow_mut(), 0);
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match opened.read_at(offset.saturating_add(read as u64), rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        Ok(())
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        // A file system may be asked at that, too.
        let until = Instant::now() + self.files.answer_within;
        let _closed = self.files.ask(&Request::Close, &self.origin, until).map(|_answer| ());
    }
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(self.at, buffer)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

impl Seek for Opened<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.found.size.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests;
