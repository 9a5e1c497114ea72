//! A reader of little-endian numbers, LEB128 and the encoded pointers of `.eh_frame`.

/// Format of an encoded pointer that is a plain 8-byte number (`DW_EH_PE_absptr`).
pub(crate) const ABSOLUTE: u8 = 0x00;
/// Encoding of a pointer relative to its own address (`DW_EH_PE_pcrel`).
const PC_RELATIVE: u8 = 0x10;
/// Encoding of a pointer relative to a base, which in `.eh_frame_hdr` is the header's address (`DW_EH_PE_datarel`).
const DATA_RELATIVE: u8 = 0x30;

/// Bytes that stand at a known address, and the position up to which they have been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Address of the first byte of `rest`.
    address: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], address: u64) -> Self {
        Self { rest: bytes, address }
    }

    /// Address of the next byte.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let count = usize::try_from(count).ok()?;
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        self.address = self.address.wrapping_add(count as u64);
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        self.address = self.address.wrapping_add(N as u64);
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads an unsigned LEB128 number. `None` if it does not fit 64 bits.
    pub(crate) fn uleb(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a signed LEB128 number. `None` if it does not fit 64 bits.
    pub(crate) fn sleb(&mut self) -> Option<i64> {
        let mut value = 0i64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte != 0 && byte != 0x7f {
                return None;
            }
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte & 0x40 != 0 && shift + 7 < 64 {
                    value |= -1 << (shift + 7);
                }
                return Some(value);
            }
        }
        None
    }

    /// Reads the bytes up to the next zero byte, which is left out.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = memchr::memchr(0, self.rest)?;
        let text = self.take(length as u64)?;
        self.u8()?;
        Some(text)
    }

    /// Reads the value of an encoded pointer without its base: only the format in the lower four bits counts.
    pub(crate) fn formatted(&mut self, encoding: u8) -> Option<u64> {
        Some(match encoding & 0x0f {
            0x00 | 0x04 | 0x0c => self.u64()?,
            0x01 => self.uleb()?,
            0x02 => self.u16()?.into(),
            0x03 => self.u32()?.into(),
            0x09 => self.sleb()?.cast_unsigned(),
            0x0a => i64::from(self.u16()?.cast_signed()).cast_unsigned(),
            0x0b => i64::from(self.u32()?.cast_signed()).cast_unsigned(),
            _ => return None,
        })
    }

    /// Reads an encoded pointer. `data` is the base of `DW_EH_PE_datarel`. `None` also for an address that only a
    /// running process knows (indirect, or relative to a place that ELF does not name).
    pub(crate) fn pointer(&mut self, encoding: u8, data: Option<u64>) -> Option<u64> {
        let base = match encoding & 0xf0 {
            ABSOLUTE => 0,
            PC_RELATIVE => self.address,
            DATA_RELATIVE => data?,
            _ => return None,
        };
        self.formatted(encoding).map(|value| base.wrapping_add(value))
    }
}
