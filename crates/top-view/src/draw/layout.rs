//! The parts of a screen.

/// Rows above the list: tabs, the machine, headings.
pub(super) const HEAD: u16 = 3;

/// Facts of a screen that are neither in the history nor in the view.
#[derive(Clone, Debug, Default)]
pub struct Screen<'a> {
    /// The source of the seconds and the state of the connection to it, as a short text.
    pub source: &'a str,
    /// True if the terminal's colours may be used.
    pub has_colors: bool,
}
