//! The form in which a request lies on disk.
//!
//! ```text
//! magic 8 | version 1 | zero 3 | crc32 4 | key 8 | samples 8 | created 8 | length 4 | request
//! ```
//!
//! Numbers are little-endian; the checksum is of all bytes that follow it. The magic lets records be found in a file
//! whose structure is lost.

use bytes::Bytes;

/// The first bytes of every record.
pub const MAGIC: [u8; 8] = *b"\x91pplrec\n";
/// The version of the form, of which there is only one so far.
const VERSION: u8 = 1;
/// Bytes before the request.
pub const HEADER: usize = 44;
/// The longest request that is believed, in bytes: far above the bound of exporters' requests.
pub const MAX_REQUEST: usize = 256 << 20;

/// A request with the facts about it that a restart needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Samples in the request.
    pub samples: u64,
    /// Time when the request was made, by the storage's clock: seconds since 1970, as far as that was known.
    pub created: u64,
    /// The request, encoded.
    pub request: Bytes,
}

impl Record {
    /// The record as bytes, under its key in the file.
    #[must_use]
    pub fn encode(&self, key: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(HEADER + self.request.len());
        body.extend_from_slice(&MAGIC);
        body.extend_from_slice(&[VERSION, 0, 0, 0]);
        body.extend_from_slice(&[0; 4]);
        for number in [key, self.samples, self.created] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        let length = u32::try_from(self.request.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&self.request);
        let checksum = crc32fast::hash(body.get(16..).unwrap_or_default());
        if let Some(place) = body.get_mut(12..16) {
            place.copy_from_slice(&checksum.to_le_bytes());
        }
        body
    }

    /// The record that `bytes` begin with, and its key; `None` if they are no whole record.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(u64, Self)> {
        let length = announced(bytes)?;
        let whole = bytes.get(..HEADER.checked_add(length)?)?;
        let number = |at: usize| Some(u64::from_le_bytes(whole.get(at..at + 8)?.try_into().ok()?));
        let checksum = u32::from_le_bytes(whole.get(12..16)?.try_into().ok()?);
        if checksum != crc32fast::hash(whole.get(16..)?) {
            return None;
        }
        let request = Bytes::copy_from_slice(whole.get(HEADER..)?);
        Some((number(16)?, Self { samples: number(24)?, created: number(32)?, request }))
    }
}

/// Length of the request that a header announces; `None` if `header` is none. Nothing is checked but the bounds.
#[must_use]
pub fn announced(header: &[u8]) -> Option<usize> {
    let rest = header.strip_prefix(&MAGIC)?;
    if *rest.first()? != VERSION {
        return None;
    }
    let length = u32::from_le_bytes(header.get(HEADER - 4..HEADER)?.try_into().ok()?);
    usize::try_from(length).ok().filter(|length| *length <= MAX_REQUEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A record that is written is read back, whatever follows it; a record that is cut short is not.
        #[test]
        fn a_record_survives_writing_and_reading(
            key: u64, samples: u64, created: u64, request: Vec<u8>, tail: Vec<u8>, cut: prop::sample::Index
        ) {
            let record = Record { samples, created, request: request.into() };
            let mut bytes = record.encode(key);
            prop_assert_eq!(Record::decode(bytes.get(..cut.index(bytes.len())).unwrap()), None);
            bytes.extend(tail);
            prop_assert_eq!(Record::decode(&bytes), Some((key, record)));
        }

        /// A record with a bit flipped is none.
        #[test]
        fn a_flipped_bit_is_noticed(request: Vec<u8>, bit: prop::sample::Index) {
            let mut bytes = Record { samples: 3, created: 5, request: request.into() }.encode(7);
            let bit = bit.index(bytes.len() * 8);
            // Three bytes are there to be used by a later version.
            prop_assume!(!(9..12).contains(&(bit / 8)));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Record::decode(&bytes), None);
        }

        /// Any bytes are a record or are refused: no panic, no read past the end.
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>, is_marked: bool) {
            if is_marked {
                bytes.splice(..0, MAGIC.into_iter().chain([VERSION]));
            }
            let _any = Record::decode(&bytes);
        }
    }
}
