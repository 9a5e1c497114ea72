//! Values by address, such as lines: a list of changes, each with the bytes of code that it holds for.

use elffile::read;

use super::layout::{Header, PART};
use crate::{ByteSource, SymbolError};

/// The most bytes of one list.
const MAX_BYTES: u64 = 4 << 20;
/// Bytes of a list that are read at once.
const PIECE: u64 = 256;

/// The value that holds `into` bytes behind the start of a function; `None` if none does. The list begins at `list`.
pub(super) fn at<S: ByteSource + ?Sized>(
    source: &S,
    header: &Header,
    list: u32,
    into: u64,
) -> Result<Option<i32>, SymbolError> {
    // No list begins at 0.
    if list == 0 {
        return Ok(None);
    }
    let start = header.at.saturating_add(header.values).saturating_add(list.into());
    let end = header.at.saturating_add(header.table).min(start.saturating_add(MAX_BYTES));
    let mut bytes = Bytes { source, at: start, end, piece: Vec::new(), next: 0 };
    let (mut value, mut after) = (-1i32, 0u64);
    loop {
        let change = bytes.number()?;
        if change == 0 && after > 0 {
            return Ok(None);
        }
        let half = (change >> 1).cast_signed();
        value = value.wrapping_add(if change & 1 == 0 { half } else { !half });
        after = after.saturating_add(u64::from(bytes.number()?).saturating_mul(header.quantum));
        if into < after {
            return Ok(Some(value));
        }
        // Without the end of a list, each entry takes two bytes at least: this ends with them.
    }
}

/// Bytes of a file, read piece by piece.
struct Bytes<'a, S: ?Sized> {
    source: &'a S,
    at: u64,
    end: u64,
    piece: Vec<u8>,
    next: usize,
}

impl<S: ByteSource + ?Sized> Bytes<'_, S> {
    fn byte(&mut self) -> Result<u8, SymbolError> {
        if let Some(&byte) = self.piece.get(self.next) {
            self.next += 1;
            return Ok(byte);
        }
        let length = PIECE.min(self.end.saturating_sub(self.at));
        self.piece = read::bytes(self.source, self.at, length, PART)?;
        (self.at, self.next) = (self.at.saturating_add(length), 1);
        self.piece.first().copied().ok_or(SymbolError::Malformed { part: PART })
    }

    /// A number, seven bits a byte, the lowest first.
    fn number(&mut self) -> Result<u32, SymbolError> {
        let mut number = 0u32;
        for shift in (0..u32::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(SymbolError::Malformed { part: PART })
    }
}
