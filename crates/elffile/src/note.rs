//! Notes: small named records in a segment or a section.

use object::Endianness;
use object::endian::Endian as _;

/// A note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The name of the vendor that defines the kinds, without the NULs at its end.
    pub name: &'a [u8],
    /// The kind of note.
    pub kind: u32,
    /// The bytes of the note.
    pub bytes: &'a [u8],
}

/// The notes in a segment or a section, up to the first that is cut short.
#[derive(Clone, Debug)]
pub struct Notes<'a> {
    rest: &'a [u8],
    endian: Endianness,
    align: usize,
}

impl<'a> Notes<'a> {
    /// The notes in `bytes`. The parts of notes are aligned to 8 bytes if the segment or section is, else to 4.
    #[must_use]
    pub fn new(bytes: &'a [u8], endian: Endianness, align: u64) -> Self {
        Self { rest: bytes, endian, align: if align == 8 { 8 } else { 4 } }
    }

    fn word(&self, words: &[u8; 12], number: usize) -> Option<u32> {
        let word = words.chunks_exact(4).nth(number)?.try_into().ok()?;
        Some(self.endian.read_u32_bytes(word))
    }
}

impl<'a> Iterator for Notes<'a> {
    type Item = Note<'a>;

    fn next(&mut self) -> Option<Note<'a>> {
        let all = std::mem::take(&mut self.rest);
        let (words, _) = all.split_first_chunk::<12>()?;
        let size = |number| usize::try_from(self.word(words, number)?).ok();
        let (name_size, size, kind) = (size(0)?, size(1)?, self.word(words, 2)?);
        let name = all.get(12..12_usize.checked_add(name_size)?)?;
        // Counted from the start of the note, as the header's 12 bytes are aligned to 4 only.
        let at = (12 + name_size).checked_next_multiple_of(self.align)?;
        let end = at.checked_add(size)?;
        let bytes = all.get(at..end)?;
        self.rest =
            end.checked_next_multiple_of(self.align).and_then(|next| all.get(next..)).unwrap_or_default();
        let name_end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(Note { name: name.get(..name_end)?, kind, bytes })
    }
}
