//! Texts that stay in their sections until somebody asks for them.

use gimli::Reader as _;

use super::window::{SectionBytes, Window};

/// The longest name of a function, or part of a path, that is read.
const LONGEST_TEXT: usize = 4 << 10;

/// A text: the number of the section that it is in, and its offset there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextAt(u64);

const NUMBER_SHIFT: u32 = 56;

impl TextAt {
    pub(super) fn of(window: &Window<'_>) -> Self {
        let (number, at) = window.place();
        Self((u64::from(number) << NUMBER_SHIFT) | at as u64)
    }

    /// The text; `None` if it is empty or too long.
    pub(super) fn read(self, sections: &[SectionBytes<'_>]) -> gimli::Result<Option<String>> {
        let number = usize::try_from(self.0 >> NUMBER_SHIFT).unwrap_or(usize::MAX);
        let at = usize::try_from(self.0 & ((1 << NUMBER_SHIFT) - 1)).unwrap_or(usize::MAX);
        let Some(section) = sections.get(number) else { return Ok(None) };
        let mut text = Window::of(section).until(at.saturating_add(LONGEST_TEXT));
        text.skip(at)?;
        let text = text.read_null_terminated_slice()?;
        Ok(if text.is_empty() { None } else { Some(text.to_string_lossy()?.into_owned()) })
    }
}
