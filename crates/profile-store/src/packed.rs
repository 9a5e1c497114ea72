//! Numbers as bytes: seven bits in each byte, the lowest first, so that small numbers take one byte.

/// Appends a number.
pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        let [low, ..] = number.to_le_bytes();
        bytes.push(low | 0x80);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    bytes.push(low);
}

/// Appends a signed difference: one near 0 takes one byte, whatever its sign.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    put(bytes, (number << 1 ^ number >> 63).cast_unsigned());
}

/// Appends the difference of two numbers of 32 bits.
pub(crate) fn put_step(bytes: &mut Vec<u8>, before: u32, number: u32) {
    put_signed(bytes, i64::from(number) - i64::from(before));
}

/// Reads appended numbers in their order; behind the end every number is 0.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    #[inline]
    pub(crate) fn number(&mut self) -> u64 {
        // Most numbers take one byte or two.
        match *self.0 {
            [low, ref rest @ ..] if low < 0x80 => {
                self.0 = rest;
                low.into()
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.0 = rest;
                u64::from(low & 0x7f) | u64::from(high) << 7
            }
            _ => self.long(),
        }
    }

    fn long(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        while let Some((&byte, rest)) = self.0.split_first() {
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
            shift = shift.saturating_add(7);
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// A number of at most 32 bits.
    #[inline]
    pub(crate) fn small(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    /// Reads a difference, and returns the number that is that far from `before`.
    #[inline]
    pub(crate) fn step(&mut self, before: u32) -> u32 {
        u32::try_from(i64::from(before).saturating_add(self.signed())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Numbers come back as they were, in any mixture.
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<u64>(), 0u32..64, any::<i64>(), any::<[u32; 2]>()), 0..40)) {
            let mut bytes = Vec::new();
            for &(number, shift, signed, [before, after]) in &numbers {
                put(&mut bytes, number >> shift);
                put_signed(&mut bytes, signed >> shift);
                put_step(&mut bytes, before, after);
            }
            let mut reader = Reader(&bytes);
            for &(number, shift, signed, [before, after]) in &numbers {
                prop_assert_eq!(reader.number(), number >> shift);
                prop_assert_eq!(reader.signed(), signed >> shift);
                prop_assert_eq!(reader.step(before), after);
            }
            prop_assert!(reader.0.is_empty() && reader.number() == 0);
        }

        /// Any bytes can be read as numbers.
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader(&bytes);
            for _ in 0..=bytes.len() {
                let _any = (reader.clone().small(), reader.clone().step(7), reader.signed());
            }
            prop_assert!(reader.0.is_empty());
        }
    }
}
