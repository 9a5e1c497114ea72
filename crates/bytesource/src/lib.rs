//! The bytes of a file, as whoever opened it reads them.
//!
//! Parsers of files take a [`ByteSource`] and open nothing by themselves: the caller decides how a file is reached and
//! how long a read may take.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// A file that can be read at any offset.
pub trait ByteSource {
    /// The size of the file in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// Any error of the read; `UnexpectedEof` where the file ends before the buffer is full.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl<S: ByteSource + ?Sized> ByteSource for &S {
    fn size(&self) -> u64 {
        S::size(self)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        S::read_exact_at(self, offset, buffer)
    }
}

impl ByteSource for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..)?.get(..buffer.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// An open file with the size that it had when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    size: u64,
}

impl OpenFile {
    /// A source of the bytes of `file`.
    ///
    /// # Errors
    /// The error of asking for the file's size.
    pub fn new(file: File) -> io::Result<Self> {
        Ok(Self { size: file.metadata()?.len(), file })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl ByteSource for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}
