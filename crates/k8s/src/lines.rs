//! A stream of bytes as lines.

/// The bytes of a line that has not ended yet.
#[derive(Debug)]
pub(crate) struct WatchLines {
    buffer: Vec<u8>,
    /// Bytes of the buffer that have no end of a line among them.
    searched: usize,
    most: usize,
    /// Bytes discarded so far of a line that is longer than `most` and not over yet.
    discarded: usize,
}

/// A line that is over, or at least too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WatchLine {
    /// A whole line, without its end.
    Whole(Vec<u8>),
    /// A line that is longer than it may be; none of it is kept.
    TooLong,
}

impl WatchLines {
    /// Lines of at most `most` bytes.
    pub(crate) const fn new(most: usize) -> Self {
        Self { buffer: Vec::new(), searched: 0, most, discarded: 0 }
    }

    /// Takes in the next bytes, but for those of a line that is too long already.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.discarded == 0 {
            self.buffer.extend_from_slice(bytes);
            return;
        }
        match memchr::memchr(b'\n', bytes) {
            Some(end) => {
                self.discarded = 0;
                self.buffer.extend_from_slice(bytes.get(end + 1..).unwrap_or_default());
            }
            None => self.discarded += bytes.len(),
        }
    }

    /// True if the last line has begun and has not ended.
    pub(crate) const fn is_within_one(&self) -> bool {
        !self.buffer.is_empty() || self.discarded > 0
    }

    /// Bytes discarded so far of a line that is too long and has not ended.
    pub(crate) const fn discarded(&self) -> usize {
        self.discarded
    }

    /// The next line that is whole, or as soon as it is too long; empty ones are passed over.
    pub(crate) fn next(&mut self) -> Option<WatchLine> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.searched = self.buffer.len();
                if self.buffer.len() <= self.most {
                    return None;
                }
                self.discarded = self.buffer.len();
                (self.buffer, self.searched) = (Vec::new(), 0);
                return Some(WatchLine::TooLong);
            };
            let end = self.searched + end;
            let rest = self.buffer.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.buffer, rest);
            self.searched = 0;
            line.truncate(end);
            if line.len() > self.most {
                return Some(WatchLine::TooLong);
            }
            if !line.is_empty() {
                return Some(WatchLine::Whole(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines that are over, those that are too long as `None`, and whether another one has begun.
    fn read(parts: &[&[u8]], most: usize) -> (Vec<Option<Vec<u8>>>, bool) {
        let (mut lines, mut found) = (WatchLines::new(most), Vec::new());
        for part in parts {
            lines.push(part);
            while let Some(line) = lines.next() {
                found.push(match line {
                    WatchLine::Whole(line) => Some(line),
                    WatchLine::TooLong => None,
                });
            }
            assert!(lines.buffer.len() <= most);
        }
        (found, lines.is_within_one())
    }

    #[test]
    fn lines_may_come_in_parts_and_those_too_long_are_passed_over() {
        let line = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(read(&[b"a", b"b\nc\n\n", b"d"], 9), (vec![line("ab"), line("c")], true));
        assert_eq!(read(&[b"12345", b"6789", b"0\nab", b"c\n"], 8), (vec![None, line("abc")], false));
        assert_eq!(read(&[b"a\n123456789"], 8), (vec![line("a"), None], true));
        assert_eq!(read(&[b"123456789\n", b"b\n"], 8), (vec![None, line("b")], false));
    }

    proptest! {
        /// However the bytes are cut, the lines are the same, and so are those that are too long.
        #[test]
        fn cuts_do_not_matter(
            text in "[ab\n]{0,60}",
            cuts in prop::collection::vec(0..60_usize, 0..5),
            most in 1..12_usize,
        ) {
            let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            places.sort_unstable();
            let parts: Vec<&[u8]> = places.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let (over, begun) = text.rsplit_once('\n').unwrap_or(("", &text));
            let kept = |line: &str| (line.len() <= most).then(|| line.as_bytes().to_vec());
            let mut expected: Vec<_> = over.split('\n').filter(|line| !line.is_empty()).map(kept).collect();
            expected.extend((begun.len() > most).then_some(None));
            prop_assert_eq!(read(&parts, most), (expected, !begun.is_empty()));
        }
    }
}
