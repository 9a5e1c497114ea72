//! Characters that do not show.

/// True for a character that a terminal does not show as one of its own: control characters, those that turn the
/// direction of what follows, and those without width. Whoever chooses a name could make it look like another.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    c.is_control() || is_format
}
