//! A screen of characters, drawn from scratch each time.

use configtypes::is_unseen;

/// How a character looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Brighter or thicker.
    pub bold: bool,
    /// Paler.
    pub dim: bool,
    /// Foreground and background exchanged.
    pub reverse: bool,
    /// Colour of the terminal's palette.
    pub color: Color,
}

/// Colours of a terminal's palette, which people choose so that they can read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// That of all other text.
    #[default]
    Plain,
    /// For what is asked for, and for programs.
    Green,
    /// For what wants attention.
    Yellow,
    /// For what is lost.
    Red,
    /// For the kernel.
    Blue,
    /// For headings.
    Cyan,
}

impl Style {
    /// Text as it comes.
    pub const PLAIN: Self = Self { bold: false, dim: false, reverse: false, color: Color::Plain };
    /// What stands out.
    pub const BOLD: Self = Self { bold: true, ..Self::PLAIN };
    /// What is over.
    pub const DIM: Self = Self { dim: true, ..Self::PLAIN };
    /// What is chosen.
    pub const REVERSE: Self = Self { reverse: true, ..Self::PLAIN };

    /// This style in a colour.
    #[must_use]
    pub const fn colored(self, color: Color) -> Self {
        Self { color, ..self }
    }

    fn write(self, colors: bool, out: &mut String) {
        out.push_str("\u{1b}[0");
        for (set, code) in [(self.bold, ";1"), (self.dim, ";2"), (self.reverse, ";7")] {
            out.push_str(if set { code } else { "" });
        }
        if colors {
            out.push_str(match self.color {
                Color::Plain => "",
                Color::Red => ";31",
                Color::Green => ";32",
                Color::Yellow => ";33",
                Color::Blue => ";34",
                Color::Cyan => ";36",
            });
        }
        out.push('m');
    }
}

/// One place of a screen; the second half of a wide character has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    character: Option<char>,
    style: Style,
}

const BLANK: Cell = Cell { character: Some(' '), style: Style::PLAIN };

/// A screen of characters.
#[derive(Clone, Debug)]
pub struct Canvas {
    width: usize,
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    /// An empty screen.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, rows: vec![vec![BLANK; width]; height] }
    }

    /// Characters of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of the screen.
    #[must_use]
    pub fn height(&self) -> usize {
        self.rows.len()
    }

    /// Writes a text at a place, as far as there is room before `end`; what would steer a terminal is escaped. Returns
    /// the column after it.
    pub fn text(&mut self, row: usize, column: usize, end: usize, text: &str, style: Style) -> usize {
        let (mut column, end) = (column, end.min(self.width));
        let Some(row) = self.rows.get_mut(row) else { return column };
        for character in configtypes::printable(text).chars() {
            let width = width(character);
            if width == 0 {
                continue;
            }
            if column + width > end {
                break;
            }
            for (at, cell) in row.iter_mut().skip(column).take(width).enumerate() {
                *cell = Cell { character: (at == 0).then_some(character), style };
            }
            column += width;
        }
        column
    }

    /// Gives a row a style, whatever is written there.
    pub fn restyle(&mut self, row: usize, style: Style) {
        self.rows.get_mut(row).into_iter().flatten().for_each(|cell| cell.style = style);
    }

    /// The rows as text, without what is blank at their ends.
    #[must_use]
    pub fn plain(&self) -> String {
        let row = |row: &Vec<Cell>| {
            let text: String = row.iter().filter_map(|cell| cell.character).collect();
            format!("{}\n", text.trim_end())
        };
        self.rows.iter().map(row).collect()
    }

    /// What draws the screen on a terminal of this size, over what was there.
    #[must_use]
    pub fn painted(&self, colors: bool) -> String {
        let mut out = String::from("\u{1b}[H");
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                out.push_str("\r\n");
            }
            let mut style = None;
            for cell in row {
                if style != Some(cell.style) {
                    cell.style.write(colors, &mut out);
                    style = Some(cell.style);
                }
                out.extend(cell.character);
            }
            out.push_str("\u{1b}[0m\u{1b}[K");
        }
        out
    }
}

/// Columns that a character takes, nearly: what combines with the one before it is left out, so that no terminal's idea
/// of it matters.
fn width(character: char) -> usize {
    match character {
        ' '..='~' => 1,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}' => 0,
        '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{e0100}'..='\u{e01ef}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' => 2,
        '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ if is_unseen(character) => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::hostile;

    #[test]
    fn a_text_ends_where_its_room_does() {
        let mut canvas = Canvas::new(6, 2);
        assert_eq!(canvas.text(0, 1, 4, "abcdef", Style::BOLD), 4);
        assert_eq!(canvas.text(1, 3, 9, "中中", Style::PLAIN), 5, "half a character does not fit");
        assert_eq!(canvas.text(7, 0, 9, "nowhere", Style::PLAIN), 0);
        assert_eq!(canvas.plain(), " abc\n   中\n");
        assert!(canvas.painted(true).contains("\u{1b}[0;1mabc\u{1b}[0m  "));
    }

    #[test]
    fn without_colours_what_is_bold_stays_bold() {
        let mut canvas = Canvas::new(1, 1);
        canvas.text(0, 0, 1, "a", Style::BOLD.colored(Color::Red));
        assert!(canvas.painted(true).contains("\u{1b}[0;1;31ma"));
        assert!(canvas.painted(false).contains("\u{1b}[0;1ma"));
    }

    proptest! {
        /// No text leaves its row or steers the terminal.
        #[test]
        fn no_text_steers_the_terminal(text in hostile(), column in 0_usize..9, end in 0_usize..12) {
            let mut canvas = Canvas::new(8, 2);
            canvas.text(0, column, end, &text, Style::PLAIN);
            let plain = canvas.plain();
            prop_assert_eq!(plain.lines().count(), 2);
            prop_assert!(!plain.contains(|c| c != '\n' && is_unseen(c)));
            prop_assert_eq!(plain.lines().last(), Some(""));
        }
    }
}
