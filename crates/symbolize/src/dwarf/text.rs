//! Texts that stay in their sections until somebody asks for them, unless the file of the section will be closed.

use gimli::Reader as _;

use super::room::{Room, TableError};
use super::window::{SectionBytes, Window};

/// The longest name of a function, or part of a path, that is read.
const LONGEST_TEXT: usize = 4 << 10;

/// A text: the number of the section that it is in, and its offset there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextAt(u64);

const NUMBER_SHIFT: u32 = 56;
/// The number, of no section, that marks a text among the taken ones.
const TAKEN: u64 = 0xff;

/// Texts that were taken from files which have been closed since, each with a zero after it.
#[derive(Debug, Default)]
pub(super) struct TakenTexts(Vec<u8>);

impl TakenTexts {
    pub(super) fn memory(&self) -> usize {
        self.0.capacity()
    }

    /// Takes a text, if it is in one of those sections; returns its place from now on, and `None` for an empty text.
    pub(super) fn take(
        &mut self,
        text: TextAt,
        sections: &[SectionBytes<'_>],
        room: &mut Room,
    ) -> Result<Option<TextAt>, TableError> {
        let number = text.0 >> NUMBER_SHIFT;
        if !sections.iter().any(|section| u64::from(section.number) == number) {
            return Ok(Some(text));
        }
        let Some(found) = text.read(sections, &Self::default())? else { return Ok(None) };
        // A vector that grows has twice the room that it needs at most.
        room.take(2 * (found.len() + 1))?;
        let at = self.0.len() as u64;
        self.0.extend(found.bytes());
        self.0.push(0);
        Ok(Some(TextAt((TAKEN << NUMBER_SHIFT) | at)))
    }

    fn at(&self, at: usize) -> Option<&str> {
        let text = self.0.get(at..)?;
        std::str::from_utf8(text.get(..memchr::memchr(0, text)?)?).ok()
    }
}

impl TextAt {
    pub(super) fn of(window: &Window<'_>) -> Self {
        let (number, at) = window.place();
        Self((u64::from(number) << NUMBER_SHIFT) | at as u64)
    }

    /// The text; `None` if it is empty or too long.
    pub(super) fn read(
        self,
        sections: &[SectionBytes<'_>],
        taken: &TakenTexts,
    ) -> gimli::Result<Option<String>> {
        let number = self.0 >> NUMBER_SHIFT;
        let at = usize::try_from(self.0 & ((1 << NUMBER_SHIFT) - 1)).unwrap_or(usize::MAX);
        if number == TAKEN {
            return Ok(taken.at(at).map(str::to_owned));
        }
        let section = sections.iter().find(|section| u64::from(section.number) == number);
        let Some(section) = section else { return Ok(None) };
        let mut text = Window::of(section);
        text.skip(at)?;
        let text = text.first(LONGEST_TEXT).read_null_terminated_slice()?;
        Ok(if text.is_empty() { None } else { Some(text.to_string_lossy()?.into_owned()) })
    }
}
