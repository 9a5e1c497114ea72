//! DWARF expressions, as far as they are one of the few shapes that compilers and link editors write.

use crate::cursor::Cursor;

/// The kinds of DWARF expressions that are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Summary {
    /// The value of a register plus an offset.
    Sum { register: u16, offset: i64 },
    /// The word at register + offset, plus a number.
    Deref { register: u16, offset: i64, add: i64 },
    /// The expression of the procedure linkage table of x86-64, an entry of which pushes from byte `threshold` on.
    Plt { threshold: u8 },
    /// Any other expression.
    Other,
}

const DEREF: u8 = 0x06;
const PLUS_CONSTANT: u8 = 0x23;
const NOP: u8 = 0x96;

/// The longest expression that is looked at.
const MAX_LENGTH: usize = 64;

pub(crate) fn summary(bytes: &[u8]) -> Summary {
    if bytes.len() > MAX_LENGTH {
        return Summary::Other;
    }
    // breg7(rsp)+8, breg16(rip)+0, lit15, and, litN, ge, lit3, shl, plus: written by link editors, byte by byte.
    if let [0x77, 8, 0x80, 0, 0x3f, 0x1a, literal @ 0x30..=0x3f, 0x2a, 0x33, 0x24, 0x22] = bytes {
        return Summary::Plt { threshold: literal - 0x30 };
    }
    simple(bytes).unwrap_or(Summary::Other)
}

/// `bregN offset [deref [plus_uconst n]...]`, with constants added before the dereference too.
fn simple(bytes: &[u8]) -> Option<Summary> {
    let mut cursor = Cursor::new(bytes, 0);
    let register = match cursor.u8()? {
        operation @ 0x70..=0x8f => u16::from(operation - 0x70),
        // DW_OP_bregx
        0x92 => u16::try_from(cursor.uleb()?).ok()?,
        _ => return None,
    };
    let mut sum = Summary::Sum { register, offset: cursor.sleb()? };
    while !cursor.is_empty() {
        sum = match (cursor.u8()?, sum) {
            (DEREF, Summary::Sum { register, offset }) => Summary::Deref { register, offset, add: 0 },
            (PLUS_CONSTANT, Summary::Sum { register, offset }) => {
                Summary::Sum { register, offset: offset.checked_add_unsigned(cursor.uleb()?)? }
            }
            (PLUS_CONSTANT, Summary::Deref { register, offset, add }) => {
                Summary::Deref { register, offset, add: add.checked_add_unsigned(cursor.uleb()?)? }
            }
            (NOP, sum) => sum,
            _ => return None,
        };
    }
    Some(sum)
}
