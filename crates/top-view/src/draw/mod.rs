//! Drawing of the screen.

mod blocks;
mod cover;
mod frame;
mod layout;
mod list;
mod paper;

use ratatui::buffer::Buffer;

use crate::history::History;
use crate::view::{Cover, Tab, View};
use paper::Paper;

pub(crate) use frame::{figures, seconds, state};
pub use layout::Screen;
pub(crate) use list::{heading, label, rows_of, share};

/// Draws a view on all of `buffer`. Moves its selection to a row that exists.
pub fn draw(history: &History, view: &mut View, screen: &Screen<'_>, buffer: &mut Buffer) {
    let mut paper = Paper::new(buffer, screen.has_colors);
    frame::head(history, view, &mut paper);
    let foot = paper.height().saturating_sub(1);
    match (view.cover, view.tab()) {
        (Cover::Help, _) => cover::help(&mut paper, foot),
        (Cover::Losses, _) => cover::losses(history, &mut paper, foot),
        (Cover::Nothing, _) if history.is_empty() => cover::waiting(&mut paper),
        (Cover::Nothing, Tab::Icicle) => blocks::draw(history, view, &mut paper, foot),
        (Cover::Nothing, Tab::Stages) => list::stages(history, view, &mut paper, foot),
        (Cover::Nothing, _) => list::draw(history, view, &mut paper, foot),
    }
    frame::foot(history, view, screen, &mut paper, foot);
}
