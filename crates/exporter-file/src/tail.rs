//! The end of a file that is to be appended to, which a crash may have torn.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::de::IgnoredAny;

use crate::frame::{MAX_FRAME, PREFIX};

/// The longest last line that is looked for, in bytes: longer than any line of ours.
const LONGEST_LINE: u64 = 64 << 20;
/// Number of bytes that are read at a time.
const BLOCK: usize = 64 << 10;

/// The state of the last record of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The file ends with a whole record, or is empty.
    Whole,
    /// The file ends with a whole record that lacks only its line end.
    Unended,
    /// The file ends within a record: its whole records end here.
    Torn(u64),
    /// The file does not hold records of this format.
    Foreign,
}

/// The state of a last line that has no line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The last record is whole.
    Whole,
    /// The last line is the start of a record, or bytes in its place.
    Torn,
    /// The last line is no record.
    Foreign,
}

/// Bytes that can be read anywhere; a file, or a slice in tests.
pub(crate) trait Bytes {
    fn length(&self) -> io::Result<u64>;
    /// Fills all of `into`.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()>;
}

impl Bytes for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(into, at)
    }
}

/// The end of a file of lines. `unended` judges a last line that has no end: whole, torn or foreign.
pub(crate) fn of_lines(file: &impl Bytes, unended: impl Fn(&[u8]) -> Line) -> io::Result<Tail> {
    let length = file.length()?;
    let Some(start) = last_line(file, length)? else { return Ok(Tail::Foreign) };
    // At most `LONGEST_LINE`.
    let mut line = vec![0; usize::try_from(length - start).unwrap_or_default()];
    file.read_at(&mut line, start)?;
    Ok(match line.as_slice() {
        [] => Tail::Whole,
        line => match unended(line) {
            Line::Whole => Tail::Unended,
            Line::Torn => Tail::Torn(start),
            Line::Foreign => Tail::Foreign,
        },
    })
}

/// Offset of the last line's start, after the last line end. `None` if that is too far back.
fn last_line(file: &impl Bytes, length: u64) -> io::Result<Option<u64>> {
    let mut start = length;
    while start > 0 {
        if length - start > LONGEST_LINE {
            return Ok(None);
        }
        let mut block = vec![0; BLOCK.min(usize::try_from(start).unwrap_or(BLOCK))];
        start -= block.len() as u64;
        file.read_at(&mut block, start)?;
        if let Some(end) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(Some(start + end as u64 + 1));
        }
    }
    Ok(Some(0))
}

/// The state of the last line of a file whose lines are JSON objects.
pub(crate) fn json(line: &[u8]) -> Line {
    match line.first() {
        Some(b'{') if serde_json::from_slice::<IgnoredAny>(line).is_ok() => Line::Whole,
        // A file system may leave zeros where power was cut.
        Some(b'{' | 0) => Line::Torn,
        _ => Line::Foreign,
    }
}

/// The state of the last line of a file of folded stacks: half a number is a number too, so no line is known to be
/// whole.
pub(crate) fn folded(_line: &[u8]) -> Line {
    Line::Torn
}

/// The end of a file of length-prefixed messages.
pub(crate) fn of_frames(file: &impl Bytes) -> io::Result<Tail> {
    let length = file.length()?;
    let mut at = 0;
    while at < length {
        let mut prefix = [0; PREFIX];
        if length - at < prefix.len() as u64 {
            return Ok(Tail::Torn(at));
        }
        file.read_at(&mut prefix, at)?;
        let size = u32::from_be_bytes(prefix);
        if size == 0 {
            // No message is empty; zeros, again, may be left of one.
            return Ok(if is_zeros(file, at, length)? { Tail::Torn(at) } else { Tail::Foreign });
        }
        if size > MAX_FRAME {
            return Ok(Tail::Foreign);
        }
        let next = at + prefix.len() as u64 + u64::from(size);
        if next > length {
            return Ok(Tail::Torn(at));
        }
        at = next;
    }
    Ok(Tail::Whole)
}

fn is_zeros(file: &impl Bytes, mut at: u64, length: u64) -> io::Result<bool> {
    while at < length {
        let mut block = vec![0; BLOCK.min(usize::try_from(length - at).unwrap_or(BLOCK))];
        file.read_at(&mut block, at)?;
        if block.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += block.len() as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::frame;

    impl Bytes for &[u8] {
        fn length(&self) -> io::Result<u64> {
            Ok(self.len() as u64)
        }

        fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<()> {
            let at = usize::try_from(at).unwrap();
            into.copy_from_slice(&self[at..at + into.len()]);
            Ok(())
        }
    }

    #[test]
    fn lines_end_whole_unended_or_torn() {
        for (text, tail) in [
            ("", Tail::Whole),
            ("{}\n", Tail::Whole),
            ("{}\n{\"a\":1}", Tail::Unended),
            ("{}\n{\"a\":", Tail::Torn(3)),
            ("{\"a", Tail::Torn(0)),
            ("{}\n\0\0\0", Tail::Torn(3)),
            ("notes", Tail::Foreign),
            ("{}\nnotes", Tail::Foreign),
            ("7", Tail::Foreign),
        ] {
            assert_eq!(of_lines(&text.as_bytes(), json).unwrap(), tail, "{text:?}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_not_taken_for_messages() {
        for (bytes, tail) in [
            (&b"{\"resourceProfiles\":[]}\n"[..], Tail::Foreign),
            (&[0, 0, 0, 0, 1], Tail::Foreign),
            (&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0], Tail::Foreign),
            (&[0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0], Tail::Torn(5)),
            (&[0, 0, 0, 1, 7, 0, 0], Tail::Torn(5)),
            (&[0, 0, 0, 1, 7], Tail::Whole),
        ] {
            assert_eq!(of_frames(&bytes).unwrap(), tail, "{bytes:?}");
        }
    }

    proptest! {
        /// Wherever a file of messages breaks off, its whole messages are kept and nothing more.
        #[test]
        fn frames_are_kept_up_to_the_tear(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..6),
            cut in 0..2000_usize,
        ) {
            let mut ends = vec![0];
            let mut bytes = Vec::new();
            for message in &messages {
                frame(message, &mut bytes).unwrap();
                ends.push(bytes.len());
            }
            bytes.truncate(cut);
            let whole = *ends.iter().rfind(|&&end| end <= bytes.len()).unwrap();
            let expected = if whole == bytes.len() { Tail::Whole } else { Tail::Torn(whole as u64) };
            prop_assert_eq!(of_frames(&bytes.as_slice()).unwrap(), expected);
        }

        /// Wherever a file of lines breaks off, its whole lines are kept.
        #[test]
        fn lines_are_kept_up_to_the_tear(lines in prop::collection::vec("\\{[a]{0,20}", 0..6), cut in 0..200_usize) {
            let mut text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            text.truncate(cut);
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            let expected = if whole == text.len() { Tail::Whole } else { Tail::Torn(whole as u64) };
            prop_assert_eq!(of_lines(&text.as_bytes(), json).unwrap(), expected);
        }

        /// Any bytes have an end, and a torn record starts within them.
        #[test]
        fn any_bytes_have_a_tail(bytes in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..100)) {
            for tail in [of_frames(&bytes.as_slice()).unwrap(), of_lines(&bytes.as_slice(), json).unwrap()] {
                if let Tail::Torn(at) = tail {
                    prop_assert!(at < bytes.len() as u64);
                }
            }
        }
    }
}
