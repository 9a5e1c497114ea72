//! The facts of a function in Go's tables.

use elffile::read;

use super::layout::{Header, Layout, PART};
use super::module::Module;
use crate::{ByteSource, SymbolError};

/// The most lists of values that a function has: Go 1.26 writes four.
const MAX_LISTS: u32 = 64;
/// The number of the list of inlined functions by address, and that of the tree which it leads to.
const INLINED: usize = 2;
const TREE: usize = 3;

/// The facts of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) entry: u64,
    /// Offset of the function's name among the names of functions.
    pub(super) name: u32,
    /// Lists of values: files by number and lines.
    pub(super) file_values: u32,
    pub(super) line_values: u32,
    /// The offset of the files of the function's compilation unit.
    pub(super) unit: u32,
    /// The line at which the function starts, or 0 if it is not known.
    pub(super) start_line: u32,
    /// The list of values for functions that are inlined into this one, and the address of their
    /// tree if it is known.
    pub(super) inlined: Option<(u32, Option<u64>)>,
}

impl Function {
    /// The facts at `at`, which is an offset from the functions' addresses.
    pub(super) fn read<S: ByteSource + ?Sized>(
        source: &S,
        header: &Header,
        module: &Module,
        at: u32,
    ) -> Result<Self, SymbolError> {
        let start = header.at.saturating_add(header.table).saturating_add(at.into());
        let malformed = || SymbolError::Malformed { part: PART };
        let size = match header.layout {
            Layout::Go116 | Layout::Go120 => 44,
            Layout::Go118 => 40,
        };
        let bytes = read::bytes(source, start, size, PART)?;
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let entry = match (header.layout, words.as_slice()) {
            (Layout::Go116, [low, high, ..]) => u64::from(*low) | u64::from(*high) << 32,
            (_, [offset, ..]) => module.text.saturating_add(u64::from(*offset)),
            (_, []) => return Err(malformed()),
        };
        // The fields are the same from here on.
        let fields = words.get(if header.layout == Layout::Go116 { 2 } else { 1 }..).unwrap_or_default();
        let &[name, _arguments, _deferred, _stack, file_values, line_values, lists, unit, ref rest @ ..] =
            fields
        else {
            return Err(malformed());
        };
        let start_line = match (header.layout, rest) {
            (Layout::Go120, [line, ..]) => *line,
            _ => 0,
        };
        // The last byte is the number of pointers to data.
        let pointers = bytes.last().copied().unwrap_or_default();
        if lists > MAX_LISTS {
            return Err(malformed());
        }
        let inlined = Self::inlined(source, (header, module), start + size, (lists, pointers.into()))?;
        Ok(Self { entry, name, file_values, line_values, unit, start_line, inlined })
    }

    fn inlined<S: ByteSource + ?Sized>(
        source: &S,
        (header, module): (&Header, &Module),
        start: u64,
        (lists, pointers): (u32, u64),
    ) -> Result<Option<(u32, Option<u64>)>, SymbolError> {
        let lists_size = 4 * u64::from(lists);
        let is_wide = header.layout == Layout::Go116;
        let data = start.saturating_add(lists_size);
        // Pointers are aligned in memory.
        let data = if is_wide { data + (header.address.wrapping_add(data - header.at)) % 8 } else { data };
        let read_words = |at, count: u64| read::bytes(source, at, 4 * count, PART);
        let word = |bytes: &[u8], index: usize| {
            bytes.as_chunks::<4>().0.get(index).map(|word| u32::from_le_bytes(*word))
        };
        let Some(list) = word(&read_words(start, lists.into())?, INLINED).filter(|list| *list != 0) else {
            return Ok(None);
        };
        let pointers = read_words(data, if is_wide { 2 * pointers } else { pointers })?;
        let tree = if is_wide {
            let halves = word(&pointers, 2 * TREE).zip(word(&pointers, 2 * TREE + 1));
            halves.map(|(low, high)| u64::from(low) | u64::from(high) << 32).filter(|tree| *tree != 0)
        } else {
            let offset = word(&pointers, TREE).filter(|offset| *offset != u32::MAX);
            module.data.zip(offset).map(|(data, offset)| data.saturating_add(offset.into()))
        };
        Ok(Some((list, tree)))
    }
}
