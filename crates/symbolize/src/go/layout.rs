//! The places of the parts of `pclntab`, by the version of Go that wrote it.

use elffile::read;

use crate::{ByteSource, SymbolError};

pub(super) const PART: &str = "Go's table of functions";

/// Bytes of the longest header.
const HEADER: u64 = 72;
/// The most functions that a program has.
const MAX_FUNCTIONS: u64 = 1 << 24;

/// Layouts of the tables, by the first version of Go that writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layout {
    /// The layout with functions by their addresses.
    Go116,
    /// The layout with functions by their distance from the start of the code.
    Go118,
    /// The layout with the line at which each function starts.
    Go120,
}

/// The head of the tables. All offsets in it are from its first byte.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) layout: Layout,
    /// Offset of the tables in the file, and their address in memory.
    pub(super) at: u64,
    pub(super) address: u64,
    /// The least length of an instruction.
    pub(super) quantum: u64,
    /// The number of functions.
    functions: u64,
    /// The address of the first byte of code, or 0 if the head does not have it.
    pub(super) text: u64,
    /// Offset of the names of functions.
    pub(super) names: u64,
    /// Offset of the offsets of file names, by compilation unit.
    pub(super) units: u64,
    /// Offset of the names of files.
    pub(super) files: u64,
    /// Offset of the lists of values by address.
    pub(super) values: u64,
    /// Offset of the functions' addresses, and of the facts of each.
    pub(super) table: u64,
}

impl Header {
    /// The head of tables at `at`; `None` if there are none.
    pub(super) fn read<S: ByteSource + ?Sized>(source: &S, at: u64, size: u64, address: u64) -> Option<Self> {
        let bytes = read::bytes(source, at, HEADER.min(size), PART).ok()?;
        let (&[magic_0, magic_1, magic_2, magic_3, 0, 0, quantum, 8], rest) = bytes.split_first_chunk()?
        else {
            return None;
        };
        let layout = match u32::from_le_bytes([magic_0, magic_1, magic_2, magic_3]) {
            0xffff_fffa => Layout::Go116,
            0xffff_fff0 => Layout::Go118,
            0xffff_fff1 => Layout::Go120,
            _ => return None,
        };
        let mut words = rest.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let (functions, _files) = (words.next()?, words.next()?);
        let text = if layout >= Layout::Go118 { words.next()? } else { 0 };
        let [names, units, files, values, table] =
            [words.next()?, words.next()?, words.next()?, words.next()?, words.next()?];
        let in_order = [names, units, files, values, table, size].is_sorted();
        let is_known = [1, 2, 4].contains(&quantum) && (1..=MAX_FUNCTIONS).contains(&functions);
        (in_order && is_known).then_some(Self {
            layout,
            at,
            address,
            quantum: quantum.into(),
            functions,
            text,
            names,
            units,
            files,
            values,
            table,
        })
    }

    /// Calls `each` with the address of each function and the place of its facts, in the order of addresses. The last
    /// address is the end of the code.
    pub(super) fn each_function<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        text: u64,
        mut each: impl FnMut(u64, u32) -> Result<(), SymbolError>,
    ) -> Result<(), SymbolError> {
        let start = self.at.saturating_add(self.table);
        if self.layout == Layout::Go116 {
            // The last has no facts: the word behind it is something else.
            let size = 16 * (self.functions + 1);
            return read::entries(source, start, size, PART, |entry: &[u8; 16]| {
                let word = u128::from_le_bytes(*entry);
                let (address, at) = (word & u128::from(u64::MAX), word >> 64);
                each(u64::try_from(address).unwrap_or_default(), u32::try_from(at).unwrap_or(u32::MAX))
            });
        }
        let size = 8 * (self.functions + 1);
        read::entries(source, start, size, PART, |entry: &[u8; 8]| {
            let word = u64::from_le_bytes(*entry);
            let (offset, at) = (word & u64::from(u32::MAX), word >> 32);
            each(text.saturating_add(offset), u32::try_from(at).unwrap_or_default())
        })
    }

    /// The address of the first function, as passed by [`each_function`](Self::each_function).
    pub(super) fn first_function<S: ByteSource + ?Sized>(&self, source: &S, text: u64) -> Option<u64> {
        let start = self.at.saturating_add(self.table);
        match self.layout {
            Layout::Go116 => {
                let bytes = read::bytes(source, start, 8, PART).ok()?;
                Some(u64::from_le_bytes(*bytes.first_chunk()?))
            }
            _ => Some(text.saturating_add(word_at(source, start, 0).ok()?.into())),
        }
    }
}

/// The four-byte number that is `more` bytes behind `at`.
pub(super) fn word_at<S: ByteSource + ?Sized>(source: &S, at: u64, more: u64) -> Result<u32, SymbolError> {
    let bytes = read::bytes(source, at.saturating_add(more), 4, PART)?;
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word)).ok_or(SymbolError::Malformed { part: PART })
}
