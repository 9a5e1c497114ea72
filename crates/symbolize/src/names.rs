//! Names by their places in string tables.

use std::cell::RefCell;

use elffile::read;

use crate::{ByteSource, SymbolError};

/// Number of bytes of a name that are read at first, and at most.
const FIRST_READ: u64 = 256;
const LONGEST_NAME: u64 = 16 << 10;

/// The string table that a name is in, or the other thing that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    /// A name in the strings of `.symtab`.
    Symtab,
    /// A name in the strings of `.dynsym`.
    Dynsym,
    /// A stub of the procedure linkage table for a function named in the strings of `.symtab`.
    PltSymtab,
    /// A stub of the procedure linkage table for a function named in the strings of `.dynsym`.
    PltDynsym,
    /// Several names that are equally good: an index among the groups.
    Group,
    /// A name in the strings of the file that is packed into the file.
    Packed,
    /// A function of Go: the place of its facts.
    Go,
}

impl NameKind {
    const ALL: [Self; 7] =
        [Self::Symtab, Self::Dynsym, Self::PltSymtab, Self::PltDynsym, Self::Group, Self::Packed, Self::Go];
}

/// A name, in four bytes: three bits of [`NameKind`] and an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameRef(u32);

const KIND_SHIFT: u32 = 29;

impl NameRef {
    /// The reference to a name; `None` for an offset that is too large.
    pub(crate) fn new(kind: NameKind, offset: u32) -> Option<Self> {
        (offset >> KIND_SHIFT == 0).then_some(Self(((kind as u32) << KIND_SHIFT) | offset))
    }

    pub(crate) fn kind(self) -> Option<NameKind> {
        NameKind::ALL.get(usize::try_from(self.0 >> KIND_SHIFT).ok()?).copied()
    }

    pub(crate) fn offset(self) -> u32 {
        self.0 & ((1 << KIND_SHIFT) - 1)
    }

    /// The name of a stub for the function of this name; `None` if there can be none.
    pub(crate) fn plt(self) -> Option<Self> {
        match self.kind()? {
            NameKind::Symtab => Self::new(NameKind::PltSymtab, self.offset()),
            NameKind::Dynsym => Self::new(NameKind::PltDynsym, self.offset()),
            _ => None,
        }
    }
}

/// The bytes of a string table.
#[derive(Clone, Debug, Default)]
pub(crate) enum Strings {
    /// The table is missing.
    #[default]
    Absent,
    /// The table is in the file.
    InFile { offset: u64, size: u64 },
    /// The table is at hand.
    AtHand(Box<[u8]>),
}

impl Strings {
    /// Bytes that the table holds in memory.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Absent | Self::InFile { .. } => 0,
            Self::AtHand(bytes) => bytes.len(),
        }
    }

    /// The name at an offset; `None` if there is none, or an endless one.
    pub(crate) fn name<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        at: u32,
    ) -> Result<Option<String>, SymbolError> {
        match self {
            Self::Absent => Ok(None),
            Self::AtHand(bytes) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                Ok(memchr::memchr(0, rest).and_then(|end| rest.get(..end)).and_then(text))
            }
            Self::InFile { offset, size } => {
                let Some(left) = size.checked_sub(at.into()) else { return Ok(None) };
                let start = offset.saturating_add(at.into());
                let mut length = FIRST_READ;
                loop {
                    let wanted = length.min(left).min(source.size().saturating_sub(start));
                    let bytes = read::bytes(source, start, wanted, "a name")?;
                    if let Some(end) = memchr::memchr(0, &bytes) {
                        return Ok(bytes.get(..end).and_then(text));
                    }
                    if wanted < length || length >= LONGEST_NAME {
                        return Ok(None);
                    }
                    length *= 8;
                }
            }
        }
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// First bytes of names, read by pages, of which the last is kept.
#[derive(Debug, Default)]
pub(crate) struct Initials {
    page: RefCell<(u64, Vec<u8>)>,
}

const PAGE: u64 = 4096;

impl Initials {
    /// The byte at an offset of a file; `None` beyond its end.
    pub(crate) fn at<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        offset: u64,
    ) -> Result<Option<u8>, SymbolError> {
        let start = offset - offset % PAGE;
        let mut page = self.page.borrow_mut();
        if page.0 != start || page.1.is_empty() {
            let size = PAGE.min(source.size().saturating_sub(start));
            *page = (start, read::bytes(source, start, size, "a name")?);
        }
        Ok(usize::try_from(offset - start).ok().and_then(|at| page.1.get(at).copied()))
    }
}
