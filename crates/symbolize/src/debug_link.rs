//! `.gnu_debuglink`: the name of the file that a file's debug information was moved to.

use elffile::read;
use object::endian::Endian as _;

use crate::elf::Elf;
use crate::{ByteSource, SymbolError};

const NAME: &[u8] = b".gnu_debuglink";
const PART: &str = "the link to debug information";
/// The most bytes of the section: a file name and a number.
const MAX_SIZE: u64 = 512;
/// The most bytes of a file that are read for its checksum.
const MAX_SUMMED: u64 = 1 << 30;
const PIECE: u64 = 64 << 10;

/// The file that a file's debug information was moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugLink {
    /// Name of the file, without a directory.
    name: Box<str>,
    crc: u32,
}

impl DebugLink {
    pub(crate) fn of<S: ByteSource + ?Sized>(source: &S, elf: &Elf) -> Option<Self> {
        let section =
            elf.sections.iter().find(|section| elf.name_of(section) == NAME && section.has_bytes())?;
        let bytes = read::bytes(source, section.offset, section.size.min(MAX_SIZE), PART).ok()?;
        let end = memchr::memchr(0, &bytes)?;
        let name = std::str::from_utf8(bytes.get(..end)?).ok()?;
        // Such a name would lead elsewhere.
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return None;
        }
        let crc = bytes.get((end + 1).next_multiple_of(4)..)?.first_chunk()?;
        Some(Self { name: name.into(), crc: elf.endian.read_u32_bytes(*crc) })
    }

    /// Name of the file, without a directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if a file is the one that the link refers to, by the checksum of its bytes.
    ///
    /// # Errors
    /// [`SymbolError::Read`] if the file cannot be read; [`SymbolError::TooLarge`] if that would take too long.
    pub fn is_of<S: ByteSource + ?Sized>(&self, source: &S) -> Result<bool, SymbolError> {
        let size = source.size();
        if size > MAX_SUMMED {
            return Err(SymbolError::TooLarge { part: PART });
        }
        let (mut sum, mut at) = (crc32fast::Hasher::new(), 0);
        while at < size {
            let length = PIECE.min(size - at);
            sum.update(&read::bytes(source, at, length, PART)?);
            at += length;
        }
        Ok(sum.finalize() == self.crc)
    }
}
