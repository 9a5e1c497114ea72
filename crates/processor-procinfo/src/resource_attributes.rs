//! The variable `OTEL_RESOURCE_ATTRIBUTES`: `key=value,key=value`, where values are percent-encoded.
//!
//! The format comes from the OpenTelemetry specification, "Resource SDK, specifying resource information via an
//! environment variable", which has it from W3C Baggage.

use std::borrow::Cow;
use std::sync::Arc;

use pdata::{Attribute, AttributeValue};

/// The most attributes that are taken of one variable, and the most bytes of each key and value: anybody may set it to
/// anything.
const MAX_ATTRIBUTES: usize = 32;
const MAX_BYTES: usize = 255;

/// Keys, and beginnings of keys, that a program may not set for itself: the kernel's facts are right, and where the
/// kernel has none, the program is in no container or pod.
const NOT_ITS_OWN: [&str; 8] = [
    "process.",
    "procinfo.",
    "container.id",
    "container.name",
    "container.runtime.name",
    "k8s.pod.uid",
    "host.",
    "os.",
];

/// True if a program may set this key for itself.
pub(crate) fn is_its_own(key: &str) -> bool {
    !NOT_ITS_OWN.iter().any(|prefix| key.starts_with(prefix))
}

/// True if an annotation of a pod may set this key: not what the kernel or the API server knows better.
pub(crate) fn is_of_an_annotation(key: &str) -> bool {
    is_its_own(key) && !key.starts_with("k8s.")
}

/// Reads the variable. As the specification demands, a value that cannot be read as a whole is discarded as a whole.
pub(crate) fn parse(variable: &[u8]) -> Vec<Attribute> {
    let Ok(text) = std::str::from_utf8(variable) else { return Vec::new() };
    let mut attributes: Vec<Attribute> = Vec::new();
    for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let pair = member.split_once('=').and_then(|(key, value)| Some((decode(key)?, decode(value)?)));
        let Some((key, value)) = pair.filter(|(key, _)| !key.is_empty()) else { return Vec::new() };
        if attributes.len() >= MAX_ATTRIBUTES || key.len() > MAX_BYTES || value.len() > MAX_BYTES {
            continue;
        }
        let value = AttributeValue::Text(Arc::from(value));
        // Of a key that is there twice, the last counts.
        match attributes.iter_mut().find(|attribute| attribute.key == key) {
            Some(attribute) => attribute.value = value,
            None => attributes.push(Attribute { key: Cow::Owned(key), value }),
        }
    }
    attributes
}

/// Undoes percent-encoding. `None` if the text is not percent-encoded, or encodes no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.trim().as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(variable: &str) -> Vec<(String, String)> {
        let text = |attribute: Attribute| match attribute.value {
            AttributeValue::Text(text) => (attribute.key.into_owned(), text.to_string()),
            other => panic!("{other:?}"),
        };
        parse(variable.as_bytes()).into_iter().map(text).collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_are_read_with_what_is_encoded() {
        assert_eq!(pairs("a=1,b=x%20y%2Cz"), [pair("a", "1"), pair("b", "x y,z")]);
        assert_eq!(pairs(" a = 1 , b=b=c,, "), [pair("a", "1"), pair("b", "b=c")]);
        assert_eq!(pairs("a=1,a=2,e="), [pair("a", "2"), pair("e", "")]);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn a_variable_with_a_fault_is_discarded() {
        for fault in ["a", "a=1,b", "=1", "a=%4", "a=%zz", "a=%+1", "a=%ff"] {
            assert_eq!(pairs(fault), [], "{fault}");
        }
        assert_eq!(parse(b"a=\xff"), []);
    }

    proptest! {
        /// Any bytes are read within bounds.
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, text in "([a-c%=0-9 ]{0,9},){0,60}") {
            let _ = parse(&bytes);
            let read = parse(text.as_bytes());
            prop_assert!(read.len() <= MAX_ATTRIBUTES);
            let long = format!("{}={}", "k".repeat(300), "v".repeat(300));
            prop_assert_eq!(parse(long.as_bytes()), []);
        }

        /// Any text that is encoded is read again.
        #[test]
        fn what_is_encoded_is_read_again(value in "\\PC{0,40}") {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(pairs(&format!("key={encoded}")), [pair("key", &value)]);
        }
    }
}
