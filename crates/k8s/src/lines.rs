//! A stream of bytes as lines.

/// The bytes of a line that has not ended yet.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Where to look for its end: there is none before.
    searched: usize,
    most: usize,
}

/// A line is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong(pub(crate) usize);

impl Lines {
    /// Lines of at most `most` bytes.
    pub(crate) const fn new(most: usize) -> Self {
        Self { buffer: Vec::new(), searched: 0, most }
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    /// If they make a line that is too long.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), LineTooLong> {
        if self.buffer.len() + bytes.len() > self.most && !bytes.contains(&b'\n') {
            return Err(LineTooLong(self.most));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// True if the last line has begun and has not ended.
    pub(crate) const fn is_within_one(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next line that is whole, without its end; empty ones are passed over.
    ///
    /// # Errors
    /// If it is too long.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, LineTooLong> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.searched = self.buffer.len();
                return if self.buffer.len() > self.most { Err(LineTooLong(self.most)) } else { Ok(None) };
            };
            let end = self.searched + end;
            let rest = self.buffer.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.buffer, rest);
            self.searched = 0;
            line.truncate(end);
            if line.len() > self.most {
                return Err(LineTooLong(self.most));
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(parts: &[&[u8]], most: usize) -> Result<Vec<Vec<u8>>, LineTooLong> {
        let (mut lines, mut found) = (Lines::new(most), Vec::new());
        for part in parts {
            lines.push(part)?;
            while let Some(line) = lines.next()? {
                found.push(line);
            }
        }
        Ok(found)
    }

    #[test]
    fn lines_may_come_in_parts() {
        assert_eq!(read(&[b"a", b"b\nc\n\n", b"d"], 9), Ok(vec![b"ab".to_vec(), b"c".to_vec()]));
        assert_eq!(read(&[b"12345", b"6789"], 8), Err(LineTooLong(8)));
        assert_eq!(read(&[b"a\n123456789"], 8), Err(LineTooLong(8)));
        assert_eq!(read(&[b"123456789\n"], 8), Err(LineTooLong(8)));
    }

    proptest! {
        /// However the bytes are cut, the lines are the same.
        #[test]
        fn cuts_do_not_matter(text in "[ab\n]{0,60}", cuts in prop::collection::vec(0..60_usize, 0..5)) {
            let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            places.sort_unstable();
            let parts: Vec<&[u8]> = places.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let end = text.rfind('\n').map_or(0, |end| end + 1);
            let expected: Vec<_> =
                text[..end].split('\n').filter(|line| !line.is_empty()).map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(read(&parts, 100), Ok(expected));
        }
    }
}
