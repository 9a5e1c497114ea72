//! Label values as text that no format has to escape.
//!
//! `metrics-exporter-prometheus` takes a backslash in a value for an escape that stands there already, and drops it. So
//! it gets encoded values, in which no character has a meaning of its own, and the values it renders are decoded.

use std::fmt::Write as _;

/// `text` with everything but letters, digits and a few marks as `%` and two hexadecimal digits for each byte.
pub(super) fn encode(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte) {
            plain.push(char::from(byte));
        } else {
            // Nothing that is written to a `String` fails.
            let _written = write!(plain, "%{byte:02X}");
        }
    }
    plain
}

/// The text that was encoded; `None` if nothing encodes so.
pub(super) fn decode(plain: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(plain.len());
    let mut rest = plain.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok().filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any text comes back, and nothing in between needs an escape.
        #[test]
        fn any_text_comes_back(text in "(.|\n)*") {
            let plain = encode(&text);
            let special = ['\\', '"', '\n', '{', '}', ',', '=', ' '];
            prop_assert!(!plain.contains(special), "{:?}", plain);
            prop_assert_eq!(decode(&plain), Some(text));
        }

        /// Any text is decoded or refused.
        #[test]
        fn any_text_is_decoded_or_refused(text in "[%0-9A-F+a\u{e4}]{0,12}|.*") {
            let _any = decode(&text);
        }
    }
}
