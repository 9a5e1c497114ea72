//! A file that has been found and opened.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use bytesource::ByteSource;

use crate::asker::Asker;
use crate::kept::Kept;
use crate::message::{Answer, Found, MAX_READ, Request};
use crate::origin::Origin;
use crate::refusal::{Refusal, as_error, unexpected};
use crate::serve::facts;

/// A file that has been opened, and is closed when this is dropped.
#[derive(Debug)]
pub struct Opened<'a> {
    asker: &'a mut Asker,
    origin: Origin,
    found: Found,
    shared: Option<File>,
    /// It asks nobody when it is closed.
    is_local: bool,
    until: Instant,
    at: u64,
}

impl<'a> Opened<'a> {
    /// A file that the reader has opened, and `shared` with the agent if it may be. It is to be read `until` then.
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

    /// The file, to be read again by others and later; `None` unless it is [`shared`](Self::shared).
    #[must_use]
    pub fn keep(&self) -> Option<Kept> {
        Kept::new(self.shared()?, self.found, &self.origin)
    }

    /// The file itself, which the reader lets go of.
    ///
    /// # Errors
    /// This, unless the file is of a file system of this machine that asks nobody when it is read or closed.
    pub fn into_local(mut self) -> Result<LocalFile, Box<Self>> {
        match self.shared.take() {
            Some(file) => Ok(LocalFile { file, found: self.found, until: self.until }),
            None => Err(Box::new(self)),
        }
    }

    /// True if the file is still as it was found. Asked after reading, it says that all that was read belongs together.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
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

/// An open file of this machine's own disks or memory: reading it asks nobody else. Others may have it open, too.
///
/// As long as it is open, its file system cannot be unmounted.
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

    /// What was found of it before it was opened.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// All that is read from now on is to be read until then.
    pub fn read_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// True if the file is still as it was found.
    ///
    /// # Errors
    /// What the system says.
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
        if self.is_local {
            return self.asker.let_go();
        }
        // A file system may be asked at that, too.
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
