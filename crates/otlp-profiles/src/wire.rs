//! Protobuf's wire format, the part of it that profiles need: sizes first, then bytes.
//!
//! Every field number of the schema is below 16, so that a tag takes one byte. A field with its default value is
//! left out, as proto3 has it; a list of numbers is packed.

/// Bytes of a number as a varint.
pub(crate) const fn varint_len(number: u64) -> usize {
    // A byte for every seven bits begun: ceil(bits / 7), without a division by 7.
    let last_bit = (number | 1).ilog2() as usize;
    (last_bit * 9 + 73) / 64
}

/// Bytes of an index, which is not negative, as a varint.
pub(crate) fn index_len(index: i32) -> usize {
    varint_len(u64::from(index.unsigned_abs()))
}

/// Bytes of a field that holds a number; none if it is zero.
pub(crate) const fn uint_field(number: u64) -> usize {
    if number == 0 { 0 } else { 1 + varint_len(number) }
}

/// Bytes of a field that holds an index; none if it is zero.
pub(crate) fn index_field(index: i32) -> usize {
    uint_field(u64::from(index.unsigned_abs()))
}

/// Bytes of a field of eight fixed bytes; none if it is zero.
pub(crate) const fn fixed64_field(number: u64) -> usize {
    if number == 0 { 0 } else { 9 }
}

/// Bytes of a field with a message, a text or a list of `len` bytes.
pub(crate) const fn bytes_field(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Bytes of a field with a text or a packed list, which is left out if it is empty.
pub(crate) const fn list_field(len: usize) -> usize {
    if len == 0 { 0 } else { bytes_field(len) }
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;

/// Appends fields to a buffer.
#[derive(Debug)]
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    /// Appends a field that holds a number; nothing if it is zero.
    pub(crate) fn uint(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.uint_always(field, number);
        }
    }

    /// Appends a field that holds a number, even if it is zero, as a `oneof` needs it.
    pub(crate) fn uint_always(&mut self, field: u8, number: u64) {
        self.tag(field, VARINT);
        self.varint(number);
    }

    /// Appends a field that holds an index; nothing if it is zero.
    pub(crate) fn index(&mut self, field: u8, index: i32) {
        self.uint(field, u64::from(index.unsigned_abs()));
    }

    /// Appends a field of eight fixed bytes; nothing if it is zero.
    pub(crate) fn fixed64(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.tag(field, FIXED64);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Appends a packed list of numbers of eight fixed bytes; nothing if it is empty.
    pub(crate) fn fixed64s(&mut self, field: u8, numbers: &[u64]) {
        if !numbers.is_empty() {
            self.header(field, numbers.len() * 8);
            self.0.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
    }

    /// Appends a field with a message or a text.
    pub(crate) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.header(field, bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends a field with a text; nothing if it is empty.
    pub(crate) fn text(&mut self, field: u8, text: &[u8]) {
        if !text.is_empty() {
            self.bytes(field, text);
        }
    }

    /// Appends a packed list of indices that take `len` bytes; nothing if it is empty.
    pub(crate) fn indices(&mut self, field: u8, len: usize, indices: impl Iterator<Item = i32>) {
        self.varints(field, len, indices.map(|index| u64::from(index.unsigned_abs())));
    }

    /// Appends a packed list of numbers that take `len` bytes; nothing if it is empty.
    pub(crate) fn varints(&mut self, field: u8, len: usize, numbers: impl Iterator<Item = u64>) {
        if len > 0 {
            self.header(field, len);
            numbers.for_each(|number| self.varint(number));
        }
    }

    /// Appends the tag and the length that precede the `len` bytes of a message, a text or a list.
    pub(crate) fn header(&mut self, field: u8, len: usize) {
        self.tag(field, DELIMITED);
        self.varint(len as u64);
    }

    fn tag(&mut self, field: u8, kind: u8) {
        self.0.push(field << 3 | kind);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_takes_as_many_bytes_as_was_said() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for number in edges.chain([u64::MAX]) {
            let mut out = Vec::new();
            Writer(&mut out).varint(number);
            assert_eq!(out.len(), varint_len(number), "{number}");
            assert_eq!(prost::encoding::decode_varint(&mut out.as_slice()).unwrap(), number);
        }
    }
}
