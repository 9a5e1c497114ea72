//! What is looked at, and what keys do.

use super::history::{History, SECONDS};
use super::icicle::{self, Move};
use super::keys::Key;
use crate::tally::FunctionId;

/// Lengths of the window that figures are of, in seconds.
const WINDOWS: [u64; 4] = [5, 15, SECONDS, 1];
/// Most characters of a filter.
const LONGEST_FILTER: usize = 80;
/// Rows that a page moves.
const PAGE: usize = 10;

/// What is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Executables.
    #[default]
    Executables,
    /// Functions.
    Functions,
    /// Processes, below those that started them.
    Processes,
    /// Calls, each below its caller and as wide as what it takes.
    Icicle,
}

impl Tab {
    /// All, in the order of their keys.
    pub const ALL: [Self; 4] = [Self::Executables, Self::Functions, Self::Processes, Self::Icicle];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Executables => "Executables",
            Self::Functions => "Functions",
            Self::Processes => "Processes",
            Self::Icicle => "Icicle",
        }
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// What took most CPU time itself.
    #[default]
    Own,
    /// What took most with all that it called or started.
    Total,
    /// By name.
    Name,
}

impl Sort {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Total => "total",
            Self::Name => "name",
        }
    }
}

/// What is to be done after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Draw anew.
    Draw,
    /// End.
    Quit,
}

/// What is looked at.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(super) tab: Tab,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) typing: bool,
    window: usize,
    pub(super) frozen: bool,
    pub(super) help: bool,
    /// The row that is chosen, of the tabs that have rows.
    pub(super) selected: usize,
    /// The way from the root to what the icicle shows, and to the call that is chosen.
    pub(super) zoom: Vec<FunctionId>,
    pub(super) chosen: Vec<FunctionId>,
}

impl View {
    /// A view that begins with `tab`.
    #[must_use]
    pub fn new(tab: Tab) -> Self {
        Self { tab, ..Self::default() }
    }

    /// True if what is shown is not to change.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Seconds that figures are of.
    pub(super) fn window(&self) -> u64 {
        WINDOWS.get(self.window).copied().unwrap_or(SECONDS)
    }

    /// Does what a key asks for; `history` is what is shown.
    pub fn press(&mut self, key: Key, history: &History) -> Outcome {
        if key == Key::Interrupt {
            return Outcome::Quit;
        }
        if self.typing {
            self.type_filter(key);
            return Outcome::Draw;
        }
        if std::mem::take(&mut self.help) {
            return Outcome::Draw;
        }
        match key {
            Key::Character('q') => return Outcome::Quit,
            Key::Character('?' | 'h') => self.help = true,
            Key::Character('/') => self.typing = true,
            Key::Character(' ') => self.frozen = !self.frozen,
            Key::Character('w') => self.window = (self.window + 1) % WINDOWS.len(),
            Key::Character('s') => {
                self.sort = match self.sort {
                    Sort::Own => Sort::Total,
                    Sort::Total => Sort::Name,
                    Sort::Name => Sort::Own,
                }
            }
            Key::Character(digit @ '1'..='4') => {
                let index = usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or_default();
                self.show(Tab::ALL.get(index).copied().unwrap_or_default());
            }
            Key::Tab => {
                let after = Tab::ALL.iter().skip_while(|tab| **tab != self.tab).nth(1);
                self.show(after.copied().unwrap_or_default());
            }
            key if self.tab == Tab::Icicle => self.walk(key, history),
            key => self.scroll(key),
        }
        Outcome::Draw
    }

    fn show(&mut self, tab: Tab) {
        self.tab = tab;
        self.selected = 0;
    }

    fn scroll(&mut self, key: Key) {
        self.selected = match key {
            Key::Up | Key::Character('k') => self.selected.saturating_sub(1),
            Key::Down | Key::Character('j') => self.selected.saturating_add(1),
            Key::PageUp => self.selected.saturating_sub(PAGE),
            Key::PageDown => self.selected.saturating_add(PAGE),
            Key::Escape => {
                self.filter.clear();
                0
            }
            _ => self.selected,
        };
    }

    fn walk(&mut self, key: Key, history: &History) {
        let step = match key {
            Key::Up | Key::Character('k') => Move::Out,
            Key::Down | Key::Character('j') => Move::In,
            Key::Left => Move::Before,
            Key::Right => Move::After,
            Key::Enter => {
                self.zoom = self.chosen.clone();
                return;
            }
            Key::Escape | Key::Backspace => {
                self.zoom.pop();
                self.chosen.clone_from(&self.zoom);
                return;
            }
            _ => return,
        };
        icicle::walk(history, self.window(), &self.zoom, &mut self.chosen, step);
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.typing = false;
                self.filter.clear();
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Character(character) if self.filter.chars().count() < LONGEST_FILTER => {
                self.filter.push(character);
            }
            _ => {}
        }
        self.selected = 0;
    }
}
