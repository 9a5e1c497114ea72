//! Reading of protobuf, field by field, without decoding whole messages into memory.
//!
//! A decoder of whole messages would make an empty message of a hundred bytes in memory from two bytes of a file.

/// The fault of bytes that are no message.
pub const DAMAGED: &str = "bytes that are no protobuf message";

/// The value of a field, as its wire type has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireValue<'a> {
    /// A number of any length; negative ones are in two's complement.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes, of which OTLP profiles have none.
    Fixed32,
    /// Bytes of a text, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// The fields of a message, each with its number; an error ends them.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The values of the fields with one number, and the error if one ends the fields.
    pub fn numbered(self, wanted: u32) -> impl Iterator<Item = Result<WireValue<'a>, &'static str>> {
        self.filter_map(move |field| match field {
            Ok((number, value)) => (number == wanted).then_some(Ok(value)),
            Err(fault) => Some(Err(fault)),
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, WireValue<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = field(&mut self.0);
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(DAMAGED))
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u32, WireValue<'a>)> {
    let tag = varint(rest)?;
    let number = u32::try_from(tag >> 3).ok().filter(|&number| number > 0)?;
    let value = match tag & 7 {
        0 => WireValue::Varint(varint(rest)?),
        1 => WireValue::Fixed64(fixed64(rest)?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            WireValue::Bytes(take(rest, length)?)
        }
        5 => {
            take(rest, 4)?;
            WireValue::Fixed32
        }
        _ => return None,
    };
    Some((number, value))
}

/// Takes a number from the start of `rest`.
pub fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn fixed64(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

impl<'a> WireValue<'a> {
    /// The bytes of a text or a message.
    ///
    /// # Errors
    /// [`DAMAGED`], if the field has another type.
    pub fn bytes(self) -> Result<&'a [u8], &'static str> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(DAMAGED) }
    }

    /// The number of a varint or an eight-byte field.
    ///
    /// # Errors
    /// [`DAMAGED`], if the field has another type.
    pub fn number(self) -> Result<u64, &'static str> {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => Ok(number),
            _ => Err(DAMAGED),
        }
    }

    /// The number of a field as a signed one.
    ///
    /// # Errors
    /// [`DAMAGED`], if the field has another type.
    pub fn signed(self) -> Result<i64, &'static str> {
        self.number().map(u64::cast_signed)
    }

    /// The number of a field as an index of a table.
    ///
    /// # Errors
    /// [`DAMAGED`], if the field has another type.
    pub fn index(self) -> Result<usize, &'static str> {
        Ok(usize::try_from(self.number()?).unwrap_or(usize::MAX))
    }

    /// Calls `each` with every number of a repeated field, packed or not.
    ///
    /// # Errors
    /// [`DAMAGED`], if the field has another type.
    pub fn numbers(self, mut each: impl FnMut(u64)) -> Result<(), &'static str> {
        let Self::Bytes(mut rest) = self else {
            each(self.number()?);
            return Ok(());
        };
        while !rest.is_empty() {
            each(varint(&mut rest).ok_or(DAMAGED)?);
        }
        Ok(())
    }

    /// Calls `each` with every eight-byte number of a repeated field, packed or not.
    ///
    /// # Errors
    /// [`DAMAGED`], if the field has another type.
    pub fn fixed(self, mut each: impl FnMut(u64)) -> Result<(), &'static str> {
        let Self::Bytes(mut rest) = self else {
            each(self.number()?);
            return Ok(());
        };
        while !rest.is_empty() {
            each(fixed64(&mut rest).ok_or(DAMAGED)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::profiles::v1development::Sample;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    proptest! {
        /// Any bytes end, in fields or in one error.
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Fields(&bytes).count() <= bytes.len());
        }

        /// Fields that another encoder has written are read.
        #[test]
        fn another_encoders_fields_are_read(
            stack in any::<i32>(), values in prop::collection::vec(any::<i64>(), 0..5), times in prop::collection::vec(any::<u64>(), 0..5),
        ) {
            let sample = Sample { stack_index: stack, values: values.clone(), timestamps_unix_nano: times.clone(), ..Sample::default() };
            let bytes = sample.encode_to_vec();
            let (mut read_stack, mut read_values, mut read_times) = (0, Vec::new(), Vec::new());
            for field in Fields(&bytes) {
                let (number, value) = field.unwrap();
                match number {
                    1 => read_stack = value.signed().unwrap(),
                    4 => value.numbers(|value| read_values.push(value.cast_signed())).unwrap(),
                    5 => value.fixed(|at| read_times.push(at)).unwrap(),
                    _ => unreachable!(),
                }
            }
            prop_assert_eq!((read_stack, read_values, read_times), (i64::from(stack), values, times));
        }
    }
}
