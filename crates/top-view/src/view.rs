//! What is looked at, and what keys do.

use terminal::FunctionId;

use crate::history::History;
use crate::icicle::{self, Step};
use crate::minute::SECONDS;

/// Lengths of the window that figures are of, in seconds.
const WINDOWS: [u64; 4] = [1, 5, 15, SECONDS];
/// Length of the window unless somebody has chosen another, in seconds.
const WINDOW: u64 = 5;
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
    /// Processes, below those that forked them.
    Processes,
    /// Calls, each below its caller and as wide as what it takes.
    Icicle,
    /// The agent's own stages and threads.
    Stages,
}

impl Tab {
    /// All, in the order of their keys.
    pub const ALL: [Self; 5] =
        [Self::Executables, Self::Functions, Self::Processes, Self::Icicle, Self::Stages];

    /// The name of the view.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executables => "executables",
            Self::Functions => "functions",
            Self::Processes => "processes",
            Self::Icicle => "icicle",
            Self::Stages => "stages",
        }
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What took most CPU time itself.
    #[default]
    Own,
    /// What took most with all that it called or forked.
    Total,
    /// By name.
    Name,
}

impl Sort {
    /// All, in the order in which a key goes through them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Total, Self::Name];

    /// The name of the order.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Total => "total",
            Self::Name => "name",
        }
    }
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Character(char),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// Tab.
    Tab,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    Home,
    /// Ctrl-C.
    Interrupt,
}

/// What is to be done after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Draw anew.
    Draw,
    /// End.
    Quit,
}

/// What covers the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cover {
    #[default]
    Nothing,
    Help,
    Losses,
}

/// What is looked at.
#[derive(Clone, Debug)]
pub struct View {
    tab: Tab,
    sort: Sort,
    filter: String,
    is_typing: bool,
    window: u64,
    is_frozen: bool,
    pub(crate) cover: Cover,
    /// The row that is chosen, of the tabs that have rows.
    pub(crate) selected: usize,
    /// The way from the root to what the icicle shows, and to the call that is chosen.
    pub(crate) zoom: Vec<FunctionId>,
    pub(crate) chosen: Vec<FunctionId>,
}

impl View {
    /// A view that begins so.
    #[must_use]
    pub fn new(tab: Tab, sort: Sort, filter: &str) -> Self {
        Self {
            tab,
            sort,
            filter: filter.chars().take(LONGEST_FILTER).collect(),
            is_typing: false,
            window: WINDOW,
            is_frozen: false,
            cover: Cover::Nothing,
            selected: 0,
            zoom: Vec::new(),
            chosen: Vec::new(),
        }
    }

    /// True if what is shown is not to change.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// What is listed.
    #[must_use]
    pub fn tab(&self) -> Tab {
        self.tab
    }

    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    pub(crate) fn is_typing(&self) -> bool {
        self.is_typing
    }

    /// Seconds that figures are of.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// The same view with a window of so many seconds, as far as a minute goes.
    #[must_use]
    pub fn with_window(self, seconds: u64) -> Self {
        Self { window: seconds.clamp(1, SECONDS), ..self }
    }

    fn next_window(&self) -> u64 {
        let longer = WINDOWS.into_iter().find(|&seconds| seconds > self.window);
        longer.or(WINDOWS.first().copied()).unwrap_or(WINDOW)
    }

    /// True if the filter lets a name through.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter.is_empty() || name.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// Does what a key asks for; `history` is what is shown.
    pub fn press(&mut self, key: Key, history: &History) -> Outcome {
        if key == Key::Interrupt {
            return Outcome::Quit;
        }
        if self.is_typing {
            self.type_filter(key);
        } else if self.cover != Cover::Nothing {
            self.cover = Cover::Nothing;
        } else if key == Key::Character('q') {
            return Outcome::Quit;
        } else if !self.command(key) {
            if self.tab == Tab::Icicle { self.walk(key, history) } else { self.scroll(key) }
        }
        Outcome::Draw
    }

    /// Does what a key asks for whatever the tab; false if it asks for nothing of that kind.
    fn command(&mut self, key: Key) -> bool {
        match key {
            Key::Character('?' | 'h') => self.cover = Cover::Help,
            Key::Character('l') => self.cover = Cover::Losses,
            Key::Character('/') => self.is_typing = true,
            Key::Character(' ' | 'f') => self.is_frozen = !self.is_frozen,
            Key::Character('w') => self.window = self.next_window(),
            Key::Character('s') => self.sort = after(&Sort::ALL, self.sort),
            Key::Character('S') => self.sort = Sort::Own,
            Key::Character('T') => self.sort = Sort::Total,
            Key::Character('N') => self.sort = Sort::Name,
            Key::Character(digit @ '1'..='5') => {
                let index = usize::try_from(u32::from(digit) - u32::from('1')).unwrap_or_default();
                self.show(Tab::ALL.get(index).copied().unwrap_or_default());
            }
            Key::Tab => self.show(after(&Tab::ALL, self.tab)),
            _ => return false,
        }
        true
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
            Key::Home | Key::Character('g') => 0,
            Key::Escape => {
                self.filter.clear();
                0
            }
            _ => self.selected,
        };
    }

    fn walk(&mut self, key: Key, history: &History) {
        let step = match key {
            Key::Up | Key::Character('k') => Step::Out,
            Key::Down | Key::Character('j') => Step::In,
            Key::Left => Step::Before,
            Key::Right => Step::After,
            Key::Enter => {
                self.zoom.clone_from(&self.chosen);
                return;
            }
            Key::Escape | Key::Backspace => {
                if self.zoom.pop().is_none() {
                    self.filter.clear();
                }
                self.chosen.clone_from(&self.zoom);
                return;
            }
            _ => return,
        };
        icicle::walk(history, self.window(), &self.zoom, &mut self.chosen, step);
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Enter => self.is_typing = false,
            Key::Escape => {
                self.is_typing = false;
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

/// The item after one, or the first.
fn after<T: Copy + PartialEq + Default>(items: &[T], item: T) -> T {
    items.iter().skip_while(|other| **other != item).nth(1).or(items.first()).copied().unwrap_or_default()
}
