//! The query of an address, the part after `?`.

/// Longest query that is read, in bytes: more than a page ever sends.
const MOST_BYTES: usize = 8_192;

/// The query's keys and values in order, decoded; `None` if the query is too long, or its bytes are not UTF-8.
pub(crate) fn parse(query: &str) -> Option<Vec<(String, String)>> {
    if query.len() > MOST_BYTES {
        return None;
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| Some((decode(key)?, decode(value)?)))
        .collect()
}

/// Decodes a text with `%HH` for bytes and `+` for a space.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => 16 * digit(rest.next()?)? + digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any text is read or refused, and an encoded text is decoded again.
        #[test]
        fn what_is_encoded_comes_back(any in ".*", text in ".{0,40}") {
            let _read = parse(&any);
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(parse(&format!("a={encoded}&b")), Some(vec![("a".to_owned(), text), ("b".to_owned(), String::new())]));
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(parse("a=%"), None);
        assert_eq!(parse("a=%zz"), None);
        assert_eq!(parse("a=%ff"), None);
        assert_eq!(parse(&"a".repeat(MOST_BYTES + 1)), None);
        assert_eq!(parse("a=b+c"), Some(vec![("a".to_owned(), "b c".to_owned())]));
    }
}
