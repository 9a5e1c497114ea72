//! Escapes for text in XML.

use textline::is_unseen;

/// Appends text as the content of an element or an attribute, with its markup escaped. Characters that do not show,
/// some of which XML forbids, are written as `\u{HHHH}`.
pub(crate) fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            character if is_unseen(character) || is_no_character(character) => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
            }
            character => out.push(character),
        }
    }
}

/// True for code points that Unicode assigns to no character, two of which XML refuses.
fn is_no_character(character: char) -> bool {
    let number = u32::from(character);
    number & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&number)
}
