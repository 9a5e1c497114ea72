//! Escapes for names of other programs in text.

use textline::is_unseen;

/// Appends a name for a line of folded stacks. Characters that would end the name or its line, those that a terminal
/// would not show, and the backslash are written as `\xHH` or `\u{HHHH}`.
pub(crate) fn folded(name: &str, line: &mut String) {
    for character in name.chars() {
        match character {
            ';' | '\\' => line.push_str(&format!("\\x{:02x}", u32::from(character))),
            character if character.is_ascii_control() => {
                line.push_str(&format!("\\x{:02x}", u32::from(character)));
            }
            character if is_unseen(character) => {
                line.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
            }
            character => line.push(character),
        }
    }
}

/// The name that [`folded`] has escaped as `text`; text without escapes stays as it is.
pub(crate) fn unfolded(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.push_str(before);
        match escaped(after) {
            Some((character, after)) => {
                name.push(character);
                rest = after;
            }
            None => {
                name.push('\\');
                rest = after;
            }
        }
    }
    name.push_str(rest);
    name
}

/// The character of an escape, and the text behind it.
fn escaped(text: &str) -> Option<(char, &str)> {
    let (digits, rest) = match text.strip_prefix('x') {
        Some(text) => text.split_at_checked(2)?,
        None => text.strip_prefix("u{")?.split_once('}')?,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any name becomes one frame of one line, and can be read back unambiguously.
        #[test]
        fn a_name_survives_escaping(name in "[ -~\\n\\r\\t\u{e9}\u{4e2d}\u{202e}\u{85};\\\\]{0,20}") {
            let mut escaped = String::new();
            folded(&name, &mut escaped);
            prop_assert!(!escaped.contains(is_unseen) && !escaped.contains(';'), "{:?}", escaped);
            prop_assert_eq!(unfolded(&escaped), name);
        }

        /// Text that this crate has not written is read as it is, apart from escapes in it.
        #[test]
        fn any_text_is_a_name(text in "[\\\\xu{}0-9a-f;\u{e9}]{0,20}") {
            unfolded(&text);
        }
    }
}
