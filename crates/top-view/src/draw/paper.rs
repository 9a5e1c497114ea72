//! A buffer with positions and looks, in the terms of this crate.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::text;

/// The look of a text. Colours are those of the terminal's palette, which people choose so that they can read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TextLook {
    /// The look of ordinary text.
    #[default]
    Plain,
    /// The look of headings.
    Heading,
    /// The look of text that stands out.
    Bold,
    /// The look of ended processes.
    Dim,
    /// The look of the selection.
    Chosen,
    /// The look of a selected process that has ended.
    ChosenDim,
    /// The look of code of programs, and of bars.
    Program,
    /// The look of code of the kernel.
    Kernel,
    /// The look of an executable.
    Executable,
    /// The look of names that the filter lets through.
    Found,
    /// The look of losses and failures.
    Bad,
    /// The look of unusual states, such as a frozen screen.
    Notice,
}

impl TextLook {
    fn style(self, has_colors: bool) -> Style {
        let color = |color: Color| if has_colors { Style::new().fg(color) } else { Style::new() };
        match self {
            Self::Plain => Style::new(),
            Self::Heading => color(Color::Cyan).add_modifier(Modifier::BOLD),
            Self::Bold => Style::new().add_modifier(Modifier::BOLD),
            Self::Dim => Style::new().add_modifier(Modifier::DIM),
            Self::Chosen => Style::new().add_modifier(Modifier::REVERSED),
            Self::ChosenDim => Style::new().add_modifier(Modifier::REVERSED | Modifier::DIM),
            Self::Program => color(Color::Green),
            Self::Kernel => color(Color::Blue),
            Self::Executable => color(Color::Cyan),
            Self::Found => color(Color::Yellow).add_modifier(Modifier::BOLD),
            Self::Bad => color(Color::Red).add_modifier(Modifier::BOLD),
            Self::Notice => color(Color::Yellow).add_modifier(Modifier::BOLD),
        }
    }

    /// The look of this text when it is selected.
    pub(super) fn chosen(self) -> Self {
        if self == Self::Dim { Self::ChosenDim } else { Self::Chosen }
    }
}

/// A buffer to draw on, from its first row and column on.
pub(super) struct Paper<'a> {
    buffer: &'a mut Buffer,
    has_colors: bool,
}

impl<'a> Paper<'a> {
    /// Clears a buffer to draw on it.
    pub(super) fn new(buffer: &'a mut Buffer, has_colors: bool) -> Self {
        buffer.reset();
        Self { buffer, has_colors }
    }

    pub(super) fn width(&self) -> u16 {
        self.buffer.area.width
    }

    pub(super) fn height(&self) -> u16 {
        self.buffer.area.height
    }

    /// Writes a text, escaped and as far as there is room before the column `end`: the middle of a longer text is left
    /// out. Returns the column after the text.
    pub(super) fn text(&mut self, row: u16, column: u16, end: u16, text: &str, look: TextLook) -> u16 {
        let end = end.min(self.width());
        let room = end.saturating_sub(column);
        if row >= self.height() || room == 0 {
            return column;
        }
        let fitted = text::fitted(text, usize::from(room));
        let (x, y) = (self.buffer.area.x + column, self.buffer.area.y + row);
        let (after, _) =
            self.buffer.set_stringn(x, y, fitted, usize::from(room), look.style(self.has_colors));
        after.saturating_sub(self.buffer.area.x)
    }

    /// The same as [`text`](Self::text), with the rest of the room filled with blanks of the same look.
    pub(super) fn block(&mut self, row: u16, column: u16, end: u16, text: &str, look: TextLook) {
        let after = self.text(row, column, end, text, look);
        let blanks = " ".repeat(usize::from(end.min(self.width()).saturating_sub(after)));
        self.text(row, after, end, &blanks, look);
    }

    /// Changes the look of a row's text.
    pub(super) fn restyle(&mut self, row: u16, look: TextLook) {
        let area = self.buffer.area;
        if row < area.height {
            let style = look.style(self.has_colors);
            let line = ratatui::layout::Rect { y: area.y + row, height: 1, ..area };
            self.buffer.set_style(line, style);
        }
    }
}
