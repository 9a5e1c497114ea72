//! The payload of a process's context: attributes that a program publishes of itself while it runs.
//!
//! Source: OTEP 4719, and `opentelemetry/proto/processcontext/v1development/process_context.proto`. Messages are read
//! field by field, so that nothing is held but the attributes that are taken.

use std::borrow::Cow;
use std::sync::Arc;

use pdata::{Attribute, AttributeValue, names};
use protowire::{Fields, WireValue};

use crate::resource_attributes::is_its_own;

/// The most attributes that are taken of one context, and the most bytes of each key and text: the same bounds as for
/// `OTEL_RESOURCE_ATTRIBUTES`.
const MAX_ATTRIBUTES: usize = 32;
const MAX_BYTES: usize = 255;
/// The most texts of a list.
const MAX_TEXTS: usize = 16;
/// Name that SDKs have for a service that nobody has named: the name of the executable is better.
const UNNAMED: &str = "unknown_service";

/// The resource's attributes of a `ProcessContext` message: texts, numbers, truths and lists of texts. Any other kind
/// of value is left out, as is an attribute that a program may not have of itself. Empty for bytes that are no message.
#[must_use]
pub fn attributes(payload: &[u8]) -> Arc<[Attribute]> {
    read(payload).unwrap_or_default().into()
}

fn read(payload: &[u8]) -> Option<Vec<Attribute>> {
    let mut taken: Vec<Attribute> = Vec::new();
    for resource in Fields(payload).numbered(1) {
        for pair in Fields(resource.ok()?.bytes().ok()?).numbered(1) {
            let pair = pair.ok()?.bytes().ok()?;
            let Some(attribute) = attribute(pair)? else { continue };
            // Keys are to be unique: of two the first counts.
            let is_new = taken.iter().all(|other| other.key != attribute.key);
            if is_new && taken.len() < MAX_ATTRIBUTES {
                taken.push(attribute);
            }
        }
    }
    Some(taken)
}

/// A `KeyValue`: `Some(None)` for one that is not taken, `None` for bytes that are no message.
fn attribute(pair: &[u8]) -> Option<Option<Attribute>> {
    let (mut key, mut value) = (None, None);
    for field in Fields(pair) {
        match field.ok()? {
            (1, WireValue::Bytes(text)) => key = Some(std::str::from_utf8(text).ok()?),
            (2, WireValue::Bytes(any)) => value = any_value(any)?,
            _ => {}
        }
    }
    let (Some(key), Some(value)) = (key.filter(|key| (1..=MAX_BYTES).contains(&key.len())), value) else {
        return Some(None);
    };
    let is_named = |text: &str| key != names::SERVICE_NAME || !text.is_empty() && !text.starts_with(UNNAMED);
    let is_taken = is_its_own(key) && !matches!(&value, AttributeValue::Text(text) if !is_named(text));
    Some(is_taken.then(|| Attribute { key: Cow::Owned(key.to_owned()), value }))
}

/// An `AnyValue` as an attribute's value.
fn any_value(any: &[u8]) -> Option<Option<AttributeValue>> {
    let mut value = None;
    for field in Fields(any) {
        // Of several the last counts, as of every `oneof`.
        value = match field.ok()? {
            (1, WireValue::Bytes(text)) => text_of(text)?.map(AttributeValue::Text),
            (2, WireValue::Varint(truth)) => Some(AttributeValue::Bool(truth != 0)),
            (3, WireValue::Varint(number)) => Some(AttributeValue::Int(number.cast_signed())),
            (5, WireValue::Bytes(list)) => texts(list)?.map(AttributeValue::Texts),
            _ => None,
        };
    }
    Some(value)
}

/// An `ArrayValue` of texts; `Some(None)` for one of other values.
fn texts(list: &[u8]) -> Option<Option<Arc<[Arc<str>]>>> {
    let mut texts = Vec::new();
    for any in Fields(list).numbered(1) {
        let mut fields = Fields(any.ok()?.bytes().ok()?);
        let text = match fields.next() {
            Some(field) => match field.ok()? {
                (1, WireValue::Bytes(text)) => text_of(text)?,
                _ => None,
            },
            None => None,
        };
        let Some(text) = text.filter(|_| texts.len() < MAX_TEXTS) else { return Some(None) };
        texts.push(text);
    }
    Some(Some(texts.into()))
}

/// A text; `Some(None)` for one that is too long.
fn text_of(bytes: &[u8]) -> Option<Option<Arc<str>>> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some((text.len() <= MAX_BYTES).then(|| text.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field that holds bytes; each length takes one or two bytes.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len() % 128).unwrap();
        let length = match u8::try_from(content.len() / 128).unwrap() {
            0 => vec![length],
            more => vec![length | 0x80, more],
        };
        [&[number << 3 | 2], &*length, content].concat()
    }

    fn pair(key: &str, any: &[u8]) -> Vec<u8> {
        bytes(1, &[bytes(1, key.as_bytes()), bytes(2, any)].concat())
    }

    fn text(key: &str, value: &str) -> Vec<u8> {
        pair(key, &bytes(1, value.as_bytes()))
    }

    fn context(pairs: &[Vec<u8>]) -> Vec<u8> {
        // Other attributes, of field 2, are no resource's.
        [bytes(1, &pairs.concat()), bytes(2, b"\x0a\x01x")].concat()
    }

    fn read_back(payload: &[u8]) -> Vec<String> {
        let shown = |attribute: &Attribute| format!("{}={:?}", attribute.key, attribute.value);
        attributes(payload).iter().map(shown).collect()
    }

    #[test]
    fn texts_numbers_truths_and_lists_are_taken() {
        let list = bytes(5, &[bytes(1, &bytes(1, b"a")), bytes(1, &bytes(1, b"b"))].concat());
        let payload = context(&[
            text("service.name", "cart"),
            pair("a.number", &[3 << 3, 7]),
            pair("a.truth", &[2 << 3, 1]),
            pair("a.list", &list),
            pair("a.double", &[4 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            text("service.name", "second"),
        ]);
        let expected = [
            "service.name=Text(\"cart\")",
            "a.number=Int(7)",
            "a.truth=Bool(true)",
            "a.list=Texts([\"a\", \"b\"])",
        ];
        assert_eq!(read_back(&payload), expected);
    }

    #[test]
    fn a_program_does_not_say_what_the_kernel_knows_nor_that_nobody_has_named_it() {
        let long = "x".repeat(256);
        let others = ["container.id", "process.pid", "host.name", "k8s.pod.uid"].map(|key| text(key, "mine"));
        let unnamed = [text("service.name", "unknown_service:java"), text("a", &long), text("", "x")];
        assert!(read_back(&context(&[&others[..], &unnamed].concat())).is_empty());
    }

    #[test]
    fn what_is_no_message_is_nothing_as_a_whole() {
        let payload = context(&[text("service.name", "cart")]);
        assert_eq!(read_back(&payload).len(), 1);
        assert!(read_back(&[&*payload, b"\x0a\x7f"].concat()).is_empty());
        assert!(read_back(&context(&[pair("a", &bytes(1, b"\xff"))])).is_empty());
    }

    proptest! {
        /// Any bytes are read or refused: no panic, bounded.
        #[test]
        fn any_bytes_are_read_or_refused(noise: Vec<u8>, pairs in prop::collection::vec("[a-z.]{0,9}", 0..50), cut: usize) {
            let pairs: Vec<_> = pairs.iter().map(|key| text(key, key)).collect();
            let mut payload: Vec<u8> = pairs.iter().flat_map(|pair| bytes(1, pair)).collect();
            prop_assert!(attributes(&payload).len() <= MAX_ATTRIBUTES);
            payload.truncate(cut % (payload.len() + 1));
            payload.extend(&noise);
            prop_assert!(attributes(&payload).len() <= MAX_ATTRIBUTES);
            prop_assert!(attributes(&noise).len() <= MAX_ATTRIBUTES);
        }
    }
}
