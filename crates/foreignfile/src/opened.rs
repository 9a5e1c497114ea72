//! Opened files: found and opened by a reader.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use bytesource::ByteSource;

use crate::asker::Asker;
use crate::kept::Kept;
use crate::message::{Answer, Found, MAX_READ, Request};
use crate::origin::Origin;
use crate::refusal::{Refusal, as_error, unexpected};
use crate::serve::facts;

/// A file that has been opened, and is closed when the value is dropped.
#[derive(Debug)]
pub struct Opened<'a> {
    asker: &'a mut Asker,
    origin: Origin,
    found: Found,
    shared: Option<File>,
    /// True if closing the file waits for no server.
    is_local: bool,
    until: Instant,
    at: u64,
}

impl<'a> Opened<'a> {
    /// A file that the reader has opened, and `shared` with the agent if it may be. All reads of it have to end before
    /// `until`.
    pub(crate) fn new(
        asker: &'a mut Asker,
        (found, origin): (Found, Origin),
        shared: Option<File>,
        until: Instant,
    ) -> Self {
        Self { asker, origin, found, is_local: shared.is_some(), shared, until, at: 0 }
    }
}

impl Opened<'_> {
    /// The facts found of the file before it was opened.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The file itself, to be compared with others: only if its file system is of this machine and waits for no server
    /// when the file is read or closed.
    #[must_use]
    pub fn shared(&self) -> Option<&File> {
        self.shared.as_ref()
    }

    /// Asks the kernel, in the reader, whether the file has that identity; `None` if the kernel does not say. For a
    /// file that is not [`shared`](Self::shared): mapping it may wait for a server, too.
    ///
    /// # Errors
    /// Errors of [`read_at`](Self::read_at).
    pub fn identify(&mut self, program: BorrowedFd<'_>, identity: [u64; 5]) -> io::Result<Option<bool>> {
        let request = (&Request::Identify(identity), Some(program));
        match self.asker.ask_with(request, &self.origin, self.until).map_err(as_error)? {
            Answer::Identified(is) => Ok(is),
            answer => Err(as_error(unexpected(&answer))),
        }
    }

    /// The file, for others to read again later; `None` unless it is [`shared`](Self::shared).
    #[must_use]
    pub fn keep(&self) -> Option<Kept> {
        Kept::new(self.shared()?, self.found, &self.origin)
    }

    /// The file itself, which the reader lets go of.
    ///
    /// # Errors
    /// The opened file itself, unless it is of a file system of this machine that waits for no server when the file is
    /// read or closed.
    pub fn into_local(mut self) -> Result<LocalFile, Box<Self>> {
        match self.shared.take() {
            Some(file) => Ok(LocalFile { file, found: self.found, until: self.until }),
            None => Err(Box::new(self)),
        }
    }

    /// True if the file is still as it was found. A check after the reads shows that all bytes read belong together.
    ///
    /// # Errors
    /// Errors of [`read_at`](Self::read_at).
    pub fn is_unchanged(&mut self) -> io::Result<bool> {
        if let Some(file) = &self.shared {
            return Ok(facts(file)? == self.found);
        }
        match self.asker.ask(&Request::Look, &self.origin, self.until).map_err(as_error)? {
            Answer::Found(found) => Ok(found == self.found),
            answer => Err(as_error(unexpected(&answer))),
        }
    }

    /// The file as a source of bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes<Self> {
        Bytes { size: self.found.size, opened: RefCell::new(self) }
    }

    /// Reads bytes at a position; fewer than there is room for at the end of the file, or if the room exceeds one
    /// answer.
    ///
    /// # Errors
    /// The operating system's error; `TimedOut` if the file system does not answer, or reading the file takes too long.
    pub fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(file) = &self.shared {
            // This machine's own disks and memory need no reader, and asking for each piece of a file would take longer
            // than reading it.
            return if Instant::now() < self.until {
                file.read_at(buffer, at)
            } else {
                Err(as_error(Refusal::TooLong))
            };
        }
        let length = u32::try_from(buffer.len().min(MAX_READ)).unwrap_or_default();
        let answer = self.asker.ask(&Request::Read { at, length }, &self.origin, self.until);
        match answer.map_err(as_error)? {
            Answer::Bytes(bytes) => {
                buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Ok(bytes.len().min(buffer.len()))
            }
            answer => Err(as_error(unexpected(&answer))),
        }
    }
}

/// An open file of this machine's own disks or memory: reading it waits for no server. Others may have it open, too.
///
/// As long as the file is open, its file system cannot be unmounted.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    found: Found,
    until: Instant,
}

impl LocalFile {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The facts found of the file before it was opened.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Sets the instant by which all further reads have to end.
    pub fn read_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// True if the file is still as it was found.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(facts(&self.file)? == self.found)
    }
}

impl ByteSource for LocalFile {
    fn size(&self) -> u64 {
        self.found.size
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // A disk may be slow, too.
        if Instant::now() < self.until {
            self.file.read_exact_at(buffer, offset)
        } else {
            Err(as_error(Refusal::TooLong))
        }
    }
}

/// A file that has been opened, as a source of bytes.
#[derive(Debug)]
pub struct Bytes<O> {
    size: u64,
    opened: RefCell<O>,
}

impl<O> Bytes<O> {
    /// Returns the file.
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
        if self.is_local {
            return self.asker.let_go();
        }
        // Closing a file may ask its file system, too.
        let until = Instant::now() + self.asker.answer_within();
        let _closed = self.asker.ask(&Request::Close, &self.origin, until).map(|_answer| ());
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
