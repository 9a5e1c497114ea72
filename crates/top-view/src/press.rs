//! Keys and their effect on a view.

use crate::history::History;
use crate::icicle::{self, Step};
use crate::rows::{self, RowOf};
use crate::view::{Cover, FunctionText, LONGEST_FILTER, Sort, Tab, View, ids};

/// Rows that the page keys move the selection by.
const PAGE: usize = 10;

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

/// The action that follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The screen is drawn anew.
    Draw,
    /// The program ends.
    Quit,
}

impl View {
    /// Applies a key to the view of `history`.
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
            match (self.tab, key) {
                (Tab::Icicle, _) => self.walk(key, history),
                (Tab::Executables, Key::Enter) => self.enter(history),
                (_, Key::Escape) => self.leave(),
                _ => self.scroll(key),
            }
        }
        Outcome::Draw
    }

    /// Applies a key that has the same effect on every tab; false if the key is none of those.
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
            _ => self.selected,
        };
    }

    /// Shows the functions and calls of the selected executable.
    fn enter(&mut self, history: &History) {
        let row = rows::executables(history, self).into_iter().nth(self.selected);
        let Some(RowOf::Executable(executable)) = row.map(|row| row.of) else { return };
        let executable = FunctionText::of(executable, history);
        (self.zoom, self.chosen) = (vec![executable.clone()], vec![executable.clone()]);
        self.within = Some(executable);
        self.filter.clear();
        self.show(Tab::Functions);
    }

    /// Shows all executables again, or removes the filter.
    fn leave(&mut self) {
        if self.within.take().is_some() {
            (self.zoom, self.chosen) = (Vec::new(), Vec::new());
            self.show(Tab::Executables);
        } else {
            self.filter.clear();
            self.selected = 0;
        }
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
        let (zoom, chosen) = (ids(&self.zoom, history), ids(&self.chosen, history));
        if let Some(way) = icicle::walk(history, self.window(), &zoom, &chosen, step) {
            self.chosen = way.into_iter().map(|function| FunctionText::of(function, history)).collect();
        }
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
