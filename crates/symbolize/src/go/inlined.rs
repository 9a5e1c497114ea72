//! Calls of functions that have been inlined.

use elffile::read;

use super::function::Function;
use super::layout::{Header, Layout, PART};
use super::values;
use crate::elf::Segment;
use crate::{ByteSource, SymbolError};

/// A function that is inlined at an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inlined {
    /// Offset of the function's name among the names of functions.
    pub(super) name: u32,
    /// Distance of an instruction with the line of the call from the start of the function that this one is inlined
    /// into, in bytes.
    pub(super) caller: u64,
    /// The line at which the function starts, or 0 if it is not known.
    pub(super) start_line: u32,
}

impl Inlined {
    /// The function that is inlined `into` bytes behind the start of a function; `None` if none is.
    pub(super) fn at<S: ByteSource + ?Sized>(
        source: &S,
        header: &Header,
        segments: &[Segment],
        function: &Function,
        into: u64,
    ) -> Result<Option<Self>, SymbolError> {
        let malformed = SymbolError::Malformed { part: PART };
        let Some((list, tree)) = function.inlined else { return Ok(None) };
        let index = values::at(source, header, list, into)?.and_then(|index| u64::try_from(index).ok());
        let Some(index) = index else { return Ok(None) };
        // Without the tree the line at hand would be taken for one of the function that it is inlined into.
        let Some(tree) = tree else { return Err(malformed) };
        let (size, name, caller, line) = match header.layout {
            Layout::Go116 | Layout::Go118 => (20, 3, 4, None),
            Layout::Go120 => (16, 1, 2, Some(3)),
        };
        let address = tree.saturating_add(index.saturating_mul(size));
        let Some(offset) = segments.iter().find_map(|segment| segment.offset_of(address)) else {
            return Err(malformed);
        };
        let bytes = read::bytes(source, offset, size, PART)?;
        let word = |index: usize| bytes.as_chunks::<4>().0.get(index).map(|word| u32::from_le_bytes(*word));
        let (Some(name), Some(caller)) = (word(name), word(caller)) else { return Err(malformed) };
        let start_line = line.and_then(word).unwrap_or_default();
        Ok(Some(Self { name, caller: caller.into(), start_line }))
    }
}
