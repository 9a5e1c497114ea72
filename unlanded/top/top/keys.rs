//! What a terminal sends for keys.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Character(char),
    /// Enter.
    Enter,
    /// Escape alone.
    Escape,
    /// Backspace.
    Backspace,
    /// Tab.
    Tab,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Ctrl-C, or the end of the input.
    Interrupt,
}

/// Bytes of a terminal to keys. A sequence may come in parts.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    held: Vec<u8>,
}

/// The longest sequence that is waited for.
const MOST_HELD: usize = 16;

impl Keys {
    /// The keys of the bytes that have come; what is not complete is kept for the next call.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for &byte in bytes {
            self.held.push(byte);
            match decode(&self.held) {
                Decoded::More if self.held.len() < MOST_HELD => continue,
                Decoded::Key(key) => keys.push(key),
                Decoded::More | Decoded::Nothing => {}
            }
            self.held.clear();
        }
        keys
    }

    /// The key that is meant if nothing more comes: an escape is the key and no sequence.
    pub fn pause(&mut self) -> Option<Key> {
        let held = std::mem::take(&mut self.held);
        (held == [0x1b]).then_some(Key::Escape)
    }
}

enum Decoded {
    Key(Key),
    More,
    /// A sequence that means nothing here.
    Nothing,
}

fn decode(bytes: &[u8]) -> Decoded {
    let key = match bytes {
        [3] => Key::Interrupt,
        [b'\r' | b'\n'] => Key::Enter,
        [b'\t'] => Key::Tab,
        [8 | 0x7f] => Key::Backspace,
        [0x1b] | [0x1b, b'[' | b'O'] => return Decoded::More,
        [0x1b, b'[' | b'O', b'A'] => Key::Up,
        [0x1b, b'[' | b'O', b'B'] => Key::Down,
        [0x1b, b'[' | b'O', b'C'] => Key::Right,
        [0x1b, b'[' | b'O', b'D'] => Key::Left,
        [0x1b, b'[', b'5', b'~'] => Key::PageUp,
        [0x1b, b'[', b'6', b'~'] => Key::PageDown,
        // Other sequences end with a letter or a tilde.
        [0x1b, b'[' | b'O', .., last] if last.is_ascii_digit() || *last == b';' => return Decoded::More,
        [0x1b, ..] => return Decoded::Nothing,
        text => return character(text),
    };
    Decoded::Key(key)
}

fn character(bytes: &[u8]) -> Decoded {
    match std::str::from_utf8(bytes) {
        Ok(text) => match text.chars().next() {
            Some(character) if !configtypes::is_unseen(character) => {
                Decoded::Key(Key::Character(character))
            }
            _ => Decoded::Nothing,
        },
        Err(error) if error.error_len().is_none() => Decoded::More,
        Err(_) => Decoded::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_read_also_in_parts() {
        let mut keys = Keys::default();
        assert_eq!(keys.push(b"q\x1b[A\x1bOB\x1b[6~"), [Key::Character('q'), Key::Up, Key::Down, Key::PageDown]);
        assert_eq!((keys.push(b"\x1b"), keys.push(b"["), keys.push(b"D")), (vec![], vec![], vec![Key::Left]));
        assert_eq!((keys.push("ö".as_bytes()), keys.push(b"\x03")), (vec![Key::Character('ö')], vec![Key::Interrupt]));
        assert_eq!((keys.push(b"\x1b"), keys.pause(), keys.pause()), (vec![], Some(Key::Escape), None));
        assert_eq!(keys.push(b"\x1b[1;5Cx"), [Key::Character('x')], "what is not known is left out as a whole");
    }

    proptest! {
        /// Any bytes are keys or nothing, and none is kept for ever.
        #[test]
        fn any_bytes_are_keys_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut keys = Keys::default();
            let _ = keys.push(&bytes);
            prop_assert!(keys.held.len() < MOST_HELD);
            prop_assert!(keys.push(&[b'q'; MOST_HELD]).contains(&Key::Character('q')));
        }
    }
}
