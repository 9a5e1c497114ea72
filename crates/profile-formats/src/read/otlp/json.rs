//! Conversion of OTLP/JSON to protobuf while it is read: neither the text nor the message is ever in memory as a tree.

use std::fmt;

use prost::encoding::encode_varint as varint;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{JsonField, Kind, REQUEST};

/// Deepest nesting of messages; a request has ten levels. Deeper messages are skipped.
const MOST_DEPTH: usize = 16;

/// Calls `each` with the protobuf of every request of a text, in which requests follow one another.
///
/// # Errors
/// A fault of the text, with its position, or an error of `each`.
pub(super) fn requests<E: From<serde_json::Error>>(
    text: &[u8],
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut source = serde_json::Deserializer::from_slice(text);
    let mut message = Vec::new();
    // `end` is an error as long as there is more text.
    while source.end().is_err() {
        message.clear();
        RequestText(&mut message).deserialize(&mut source)?;
        each(&message)?;
    }
    Ok(())
}

/// The visitor of a whole request, which appends its protobuf.
struct RequestText<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for RequestText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RequestText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with resourceProfiles and dictionary")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<(), M::Error> {
        fields(map, REQUEST, 0, self.0)
    }
}

/// Appends the known fields of an object.
fn fields<'de, M: MapAccess<'de>>(
    mut map: M,
    known: &'static [JsonField],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), M::Error> {
    while let Some(field) = map.next_key_seed(Name(known))? {
        match field {
            Some(field) => map.next_value_seed(FieldValue { field, depth, is_entry: false, out })?,
            None => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    Ok(())
}

/// The visitor of a field's name, which finds the field.
struct Name(&'static [JsonField]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static JsonField>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static JsonField>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|field| is_name(field.name, name)))
    }
}

/// True if a name is that of a field, in lowerCamelCase or in `snake_case`.
fn is_name(field: &str, name: &str) -> bool {
    let plain = |text: &str| -> Vec<u8> {
        text.bytes().filter(|&byte| byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect()
    };
    field == name || (name.contains('_') && plain(field) == plain(name))
}

/// The visitor of a field's value, or of an entry of its list, which appends its protobuf.
struct FieldValue<'a> {
    field: &'static JsonField,
    depth: usize,
    is_entry: bool,
    out: &'a mut Vec<u8>,
}

impl FieldValue<'_> {
    fn header(&mut self, wire_type: u64) {
        varint(u64::from(self.field.number) << 3 | wire_type, self.out);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.header(2);
        varint(bytes.len() as u64, self.out);
        self.out.extend_from_slice(bytes);
    }

    fn number<E: Error>(mut self, number: u64) -> Result<(), E> {
        match self.field.kind {
            Kind::Number => {
                self.header(0);
                varint(number, self.out);
            }
            Kind::Fixed64 => {
                self.header(1);
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            _ => return Err(self.fault("no number")),
        }
        Ok(())
    }

    fn double<E: Error>(mut self, number: f64) -> Result<(), E> {
        self.header(1);
        self.out.extend_from_slice(&number.to_bits().to_le_bytes());
        Ok(())
    }

    fn fault<E: Error>(&self, expected: &str) -> E {
        E::custom(format_args!("{} has a value of the wrong kind, expected {expected}", self.field.name))
    }
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldValue<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of {}", self.field.name)
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        let Kind::Message(known) = self.field.kind else { return Err(self.fault("no object")) };
        let mut message = Vec::new();
        if self.depth < MOST_DEPTH {
            fields(map, known, self.depth + 1, &mut message)?;
        } else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        }
        self.bytes(&message);
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        if self.is_entry {
            return Err(self.fault("no list in a list"));
        }
        let Self { field, depth, out, .. } = self;
        while list.next_element_seed(FieldValue { field, depth, is_entry: true, out: &mut *out })?.is_some() {
        }
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Text => {
                self.bytes(text.as_bytes());
                Ok(())
            }
            Kind::Number | Kind::Fixed64 => {
                let number = text.parse::<u64>().or_else(|_| text.parse::<i64>().map(i64::cast_unsigned));
                let number = number.or(Err(())).map_err(|()| self.fault("a whole number"))?;
                self.number(number)
            }
            Kind::Double => {
                // `Infinity` and `NaN` are texts, since JSON has no numbers for them.
                let number = text.parse().or(Err(())).map_err(|()| self.fault("a number"))?;
                self.double(number)
            }
            Kind::Message(_) | Kind::Bool => Err(self.fault("no text")),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.double(number as f64),
            _ => self.number(number),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.double(number as f64),
            _ => self.number(number.cast_unsigned()),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.double(number),
            _ => Err(self.fault("a whole number")),
        }
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(self.fault("no truth value"));
        }
        self.header(0);
        self.out.push(value.into());
        Ok(())
    }

    /// Accepts `null`: for a field it is the default; in a list it is an empty entry, which keeps its number.
    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        if self.is_entry {
            match self.field.kind {
                Kind::Message(_) | Kind::Text => self.bytes(&[]),
                _ => return Err(self.fault("no null")),
            }
        }
        Ok(())
    }
}
