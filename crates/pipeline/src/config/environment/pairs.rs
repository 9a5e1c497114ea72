//! `name=value,name=value`, percent-encoded, as OpenTelemetry's variables hold headers and attributes.

/// Reads pairs; blanks around names and values are dropped, and so are empty members.
///
/// # Errors
/// A sentence that names the expected form. It never shows a value, since headers are secret.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let members = text.split(',').map(str::trim).enumerate().filter(|(_, member)| !member.is_empty());
    members.map(|(at, member)| pair(member).ok_or_else(|| refused(at + 1))).collect()
}

fn refused(member: usize) -> String {
    format!(
        "member {member} cannot be read: expected name=value pairs separated by commas, percent-encoded UTF-8"
    )
}

fn pair(member: &str) -> Option<(String, String)> {
    let (name, value) = member.split_once('=')?;
    let name = decode(name.trim())?;
    Some((name, decode(value.trim())?)).filter(|(name, _)| !name.is_empty())
}

/// Decodes percent-encoded text; `None` if an escape is damaged, or the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit =
                || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit()? * 16 + digit()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let pairs = |text| parse(text).unwrap();
        let expect = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(pairs("a=1, b = 2 ,,"), expect(&[("a", "1"), ("b", "2")]));
        assert_eq!(pairs("a=x%2Cy%3D%25"), expect(&[("a", "x,y=%")]));
        assert_eq!(pairs("authorization=Basic%20dTpw=="), expect(&[("authorization", "Basic dTpw==")]));
        assert_eq!(pairs("a=%C3%BC,b="), expect(&[("a", "\u{fc}"), ("b", "")]));
        assert_eq!(pairs(""), expect(&[]));
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused_without_showing_it() {
        for text in [
            "a=1,hunter2",
            "a=1,=hunter2",
            "a=1,b=hunter2%",
            "a=1,b=hunter2%zz",
            "a=1,b=hunter2%ff",
            "x,b=%+1",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("hunter2") && error.contains("expected name=value"), "{error}");
        }
    }

    proptest! {
        /// Any text is a list of pairs or is refused, and an encoded value is decoded again.
        #[test]
        fn any_text_is_read_or_refused(text in "[a%=, 2cC]{0,20}|.{0,20}", value: String) {
            let _any = parse(&text);
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(parse(&format!("k={encoded}")), Ok(vec![("k".to_owned(), value)]));
        }
    }
}
