//! What is drawn on: places and looks, in the words of this crate.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::text;

/// How a text looks. Of colours, those of the terminal's palette, which people choose so that they can read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TextLook {
    /// Text as it comes.
    #[default]
    Plain,
    /// Headings.
    Heading,
    /// What stands out.
    Bold,
    /// What is over.
    Dim,
    /// What is chosen.
    Chosen,
    /// What is chosen and over.
    ChosenDim,
    /// Programs, and bars.
    Program,
    /// The kernel.
    Kernel,
    /// An executable.
    Executable,
    /// What is looked for.
    Found,
    /// What is lost, or fails.
    Bad,
    /// Text that reports something unusual, such as losses.
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

    /// The same look of what is chosen.
    pub(super) fn chosen(self) -> Self {
        if self == Self::Dim { Self::ChosenDim } else { Self::Chosen }
    }
}

/// A buffer, from its first row and column on.
pub(super) struct Paper<'a> {
    buffer: &'a mut Buffer,
    has_colors: bool,
}

impl<'a> Paper<'a> {
    /// Takes a buffer, of which nothing is left.
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

    /// Writes a text, whoever has chosen it, as far as there is room before the column `end`: the middle of a longer
    /// one is left out. Returns the column after it.
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

    /// As [`text`](Self::text), and fills the room with blanks of the same look.
    pub(super) fn block(&mut self, row: u16, column: u16, end: u16, text: &str, look: TextLook) {
        let after = self.text(row, column, end, text, look);
        let blanks = " ".repeat(usize::from(end.min(self.width()).saturating_sub(after)));
        self.text(row, after, end, &blanks, look);
    }

    /// Gives a row a look, whatever is written there.
    pub(super) fn restyle(&mut self, row: u16, look: TextLook) {
        let area = self.buffer.area;
        if row < area.height {
            let style = look.style(self.has_colors);
            let line = ratatui::layout::Rect { y: area.y + row, height: 1, ..area };
            self.buffer.set_style(line, style);
        }
    }
}
