//! The parts of a screen.

/// Rows above the list: tabs, the machine, headings.
pub(super) const HEAD: u16 = 3;

/// What is known beside the history and the view.
#[derive(Clone, Debug, Default)]
pub struct Screen<'a> {
    /// Where the seconds come from, and how that goes, in a few words.
    pub source: &'a str,
    /// True if the terminal's colours may be used.
    pub has_colors: bool,
}
