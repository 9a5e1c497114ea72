//! Sections as gimli reads them: page by page out of the file, and with a bound on the work.
//!
//! Whoever makes a file can have a few bytes of it stand for any amount of work: a million entries that share one list
//! of a million ranges. Each read takes a step of an [`Effort`], and so does work without reading; when no steps are
//! left, every read fails.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::{fmt, io};

use gimli::{Error, Reader, ReaderOffsetId};

use crate::{ByteSource, SymbolError};

/// Bytes of a page of a section, which is read at once; and the number of pages that are kept.
const PAGE: usize = 16 << 10;
const PAGES: usize = 16;
/// Number of bytes that a step covers.
const BYTES_A_STEP: u64 = 64;
/// The longest part of a section that is read as a whole: names are shorter.
const LONGEST: usize = 64 << 10;
/// The bit from which on a section's number stands in the number that identifies an offset to gimli.
const NUMBER_SHIFT: u32 = 56;

/// The part of the file that errors name.
pub(super) const PART: &str = "the debug information";

/// The work that may still be done, and the error that ended it.
#[derive(Debug)]
pub(super) struct Effort {
    left: Cell<u64>,
    failed: RefCell<Option<io::Error>>,
}

impl Effort {
    pub(super) fn new(steps: u64) -> Self {
        Self { left: Cell::new(steps), failed: RefCell::new(None) }
    }

    /// Takes steps; an error if there are too few left.
    pub(super) fn spend(&self, steps: u64) -> gimli::Result<()> {
        let left = self.left.get().checked_sub(steps);
        self.left.set(left.unwrap_or(0));
        left.map(|_enough| ()).ok_or(Error::Io)
    }

    /// Allows `steps` steps from now on.
    pub(super) fn refill(&self, steps: u64) {
        self.left.set(steps);
    }

    fn fail(&self, error: io::Error) -> Error {
        *self.failed.borrow_mut() = Some(error);
        Error::Io
    }

    /// The error of the crate that an error of gimli stands for.
    pub(super) fn reason(&self, error: Error) -> SymbolError {
        match (error, self.failed.borrow_mut().take()) {
            (_, Some(error)) => SymbolError::Read(error),
            (Error::Io, None) => SymbolError::TooLarge { part: PART },
            (_, None) => SymbolError::Malformed { part: PART },
        }
    }
}

/// A section of a file.
pub(super) struct SectionBytes<'a> {
    pub(super) number: u8,
    pub(super) endian: gimli::RunTimeEndian,
    pub(super) size: usize,
    pub(super) bytes: Bytes<'a>,
    pub(super) effort: &'a Effort,
}

/// The bytes of a section.
pub(super) enum Bytes<'a> {
    /// Bytes in memory: they were compressed in the file.
    Held(&'a [u8]),
    /// Bytes in the file, from an offset on.
    InFile { source: &'a dyn ByteSource, offset: u64, pages: Box<Pages> },
}

/// The pages that were read last, each at the index that its number has.
#[derive(Default)]
pub(super) struct Pages(RefCell<[Page; PAGES]>);

#[derive(Default)]
struct Page {
    number: usize,
    bytes: Vec<u8>,
}

impl fmt::Debug for SectionBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SectionBytes").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<'a> SectionBytes<'a> {
    /// Passes the bytes from an offset on to `take`, as far as they are at hand at once, which is one at least.
    fn with<T>(&self, at: usize, take: impl FnOnce(&[u8]) -> T) -> gimli::Result<T> {
        match &self.bytes {
            Bytes::Held(bytes) => Ok(take(bytes.get(at..).unwrap_or_default())),
            Bytes::InFile { source, offset, pages } => {
                let number = at / PAGE;
                let mut pages = pages.0.borrow_mut();
                let page = pages.get_mut(number % PAGES).ok_or(Error::Io)?;
                if page.number != number || page.bytes.is_empty() {
                    let start = number * PAGE;
                    page.bytes.resize(PAGE.min(self.size.saturating_sub(start)), 0);
                    page.number = number;
                    let read = source.read_exact_at(offset.saturating_add(start as u64), &mut page.bytes);
                    if let Err(error) = read {
                        page.bytes.clear();
                        return Err(self.effort.fail(error));
                    }
                }
                Ok(take(page.bytes.get(at % PAGE..).unwrap_or_default()))
            }
        }
    }

    fn copy(&self, mut at: usize, mut out: &mut [u8]) -> gimli::Result<()> {
        while !out.is_empty() {
            let copied = self.with(at, |bytes| {
                let length = bytes.len().min(out.len());
                out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                length
            })?;
            if copied == 0 {
                return Err(Error::UnexpectedEof(ReaderOffsetId(at as u64)));
            }
            out = out.get_mut(copied..).unwrap_or_default();
            at += copied;
        }
        Ok(())
    }
}

/// A part of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    section: &'a SectionBytes<'a>,
    at: usize,
    end: usize,
}

impl<'a> Window<'a> {
    /// A window on all of a section.
    pub(super) fn of(section: &'a SectionBytes<'a>) -> Self {
        Self { section, at: 0, end: section.size }
    }

    /// The first bytes of the window, at most so many.
    pub(super) fn first(self, length: usize) -> Self {
        Self { end: self.end.min(self.at.saturating_add(length)), ..self }
    }

    /// The number of the section, and the offset of the window in it.
    pub(super) fn place(&self) -> (u8, usize) {
        (self.section.number, self.at)
    }

    fn ended(&self) -> Error {
        Error::UnexpectedEof(self.offset_id())
    }
}

impl<'a> Reader for Window<'a> {
    type Endian = gimli::RunTimeEndian;
    type Offset = usize;

    fn endian(&self) -> gimli::RunTimeEndian {
        self.section.endian
    }

    fn len(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    fn empty(&mut self) {
        self.end = self.at;
    }

    fn truncate(&mut self, length: usize) -> gimli::Result<()> {
        if length > self.len() {
            return Err(self.ended());
        }
        self.end = self.at + length;
        Ok(())
    }

    fn offset_from(&self, base: &Self) -> usize {
        self.at.saturating_sub(base.at)
    }

    fn offset_id(&self) -> ReaderOffsetId {
        ReaderOffsetId((u64::from(self.section.number) << NUMBER_SHIFT) | self.at as u64)
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        let at = usize::try_from(id.0 & ((1 << NUMBER_SHIFT) - 1)).ok()?;
        let is_here =
            id.0 >> NUMBER_SHIFT == u64::from(self.section.number) && (self.at..=self.end).contains(&at);
        is_here.then(|| at - self.at)
    }

    fn find(&self, byte: u8) -> gimli::Result<usize> {
        let mut at = self.at;
        while at < self.end {
            let left = self.end - at;
            let (looked, found) = self.section.with(at, |bytes| {
                let bytes = bytes.get(..left).unwrap_or(bytes);
                (bytes.len(), memchr::memchr(byte, bytes))
            })?;
            self.section.effort.spend(1 + looked as u64 / BYTES_A_STEP)?;
            match found {
                Some(index) => return Ok(at + index - self.at),
                None if looked == 0 => break,
                None => at += looked,
            }
        }
        Err(self.ended())
    }

    fn skip(&mut self, length: usize) -> gimli::Result<()> {
        if length > self.len() {
            return Err(self.ended());
        }
        self.section.effort.spend(1)?;
        self.at += length;
        Ok(())
    }

    fn split(&mut self, length: usize) -> gimli::Result<Self> {
        let mut first = *self;
        first.truncate(length)?;
        self.skip(length)?;
        Ok(first)
    }

    fn to_slice(&self) -> gimli::Result<Cow<'_, [u8]>> {
        let length = self.len();
        if length > LONGEST {
            return Err(self.ended());
        }
        self.section.effort.spend(1 + length as u64 / BYTES_A_STEP)?;
        let mut bytes = vec![0; length];
        self.section.copy(self.at, &mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    fn to_string(&self) -> gimli::Result<Cow<'_, str>> {
        let text = String::from_utf8(self.to_slice()?.into_owned()).map_err(|_bytes| Error::BadUtf8)?;
        Ok(Cow::Owned(text))
    }

    fn to_string_lossy(&self) -> gimli::Result<Cow<'_, str>> {
        Ok(Cow::Owned(String::from_utf8_lossy(&self.to_slice()?).into_owned()))
    }

    fn read_slice(&mut self, buffer: &mut [u8]) -> gimli::Result<()> {
        if buffer.len() > self.len() {
            return Err(self.ended());
        }
        self.section.effort.spend(1 + buffer.len() as u64 / BYTES_A_STEP)?;
        self.section.copy(self.at, buffer)?;
        self.at += buffer.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section<'a>(bytes: &'a &'a [u8], is_held: bool, effort: &'a Effort) -> SectionBytes<'a> {
        let in_file = Bytes::InFile { source: bytes, offset: 0, pages: Box::default() };
        let held = if is_held { Bytes::Held(bytes) } else { in_file };
        SectionBytes {
            number: 3,
            endian: gimli::RunTimeEndian::Little,
            size: bytes.len(),
            bytes: held,
            effort,
        }
    }

    proptest! {
        /// The bytes that are read by pages or from memory are those of the section, and no more steps are taken than
        /// allowed.
        #[test]
        fn bytes_are_those_of_the_section(seed: u64, size in 0..5 * PAGE, at in any::<prop::sample::Index>(), held: bool) {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(size).collect();
            let (effort, bytes) = (Effort::new(1 << 20), bytes.as_slice());
            let section = section(&bytes, held, &effort);
            let mut window = Window::of(&section);
            let at = at.index(size + 1);
            window.skip(at).unwrap();
            prop_assert_eq!(window.find(7).ok(), bytes[at..].iter().position(|byte| *byte == 7));
            let mut out = vec![0; (size - at).min(2 * PAGE)];
            window.read_slice(&mut out).unwrap();
            prop_assert_eq!(&out, &bytes[at..at + out.len()]);
            prop_assert_eq!(window.len(), size - at - out.len());
            prop_assert!(window.read_slice(&mut vec![0; size + 1]).is_err());
        }
    }

    #[test]
    fn when_no_steps_are_left_every_read_fails_as_too_large() {
        let (effort, bytes) = (Effort::new(3), [1u8; 100].as_slice());
        let section = section(&bytes, true, &effort);
        let mut window = Window::of(&section);
        (0..3).for_each(|_| assert_eq!(window.read_u8().unwrap(), 1));
        let error = window.read_u8().unwrap_err();
        assert!(matches!(effort.reason(error), SymbolError::TooLarge { .. }));
        assert!(window.find(1).is_err() && window.skip(1).is_err() && window.to_slice().is_err());
    }
}
