//! Drawing of lists.

use terminal::percent;

use super::frame::seconds;
use super::layout::HEAD;
use super::paper::{Paper, TextLook};
use crate::history::History;
use crate::minute::NANOS;
use crate::rows::{self, Row};
use crate::series::bars;
use crate::stages::{self, StageLine};
use crate::text;
use crate::tree;
use crate::view::{Sort, Tab, View};

/// Least columns of a screen that shows a minute in each line of bars.
const WIDE: u16 = 120;
/// Most levels of a tree that are indented.
const MOST_STEPS: usize = 20;

/// The rows of the list in a view.
pub(crate) fn rows_of(history: &History, view: &View) -> Vec<Row> {
    match view.tab() {
        Tab::Functions => rows::functions(history, view),
        Tab::Processes => tree::processes(history, view),
        Tab::Executables | Tab::Icicle | Tab::Stages => rows::executables(history, view),
    }
}

/// Draws the list in a view.
pub(super) fn draw(history: &History, view: &mut View, paper: &mut Paper<'_>, foot: u16) {
    let rows = rows_of(history, view);
    let bars = match (paper.width() >= WIDE, view.tab()) {
        (true, _) => 60,
        (false, Tab::Functions) => 10,
        (false, _) => 20,
    };
    let heading = heading(view, Some(bars));
    let end = paper.width();
    paper.text(HEAD - 1, 0, end, &heading, TextLook::Heading);
    let room = usize::from(foot.saturating_sub(HEAD));
    view.selected = view.selected.min(rows.len().saturating_sub(1));
    let skipped = view.selected.saturating_sub(room.saturating_sub(1));
    let visible: Vec<_> = rows.into_iter().skip(skipped).take(room).collect();
    let series = rows::series(history, view, &visible, u64::from(bars));
    let whole = seconds(history, view).saturating_mul(NANOS);
    for ((place, row), (line, values)) in visible.iter().enumerate().zip((HEAD..).zip(series)) {
        let look = if row.gone { TextLook::Dim } else { TextLook::Plain };
        let column = paper.text(line, 0, end, &share(view, row, whole), look);
        let most = values.iter().copied().max().unwrap_or_default();
        let bar_look = if row.gone { TextLook::Dim } else { TextLook::Program };
        paper.text(line, column + 2, end, &self::bars(&values, most), bar_look);
        let start = column + 4 + bars;
        let step = if paper.width() >= WIDE { 2 } else { 1 };
        let name = text::paired(&label(row, step), &row.module, usize::from(end.saturating_sub(start)));
        paper.text(line, start, end, &name, look);
        if skipped + place == view.selected {
            paper.restyle(line, look.chosen());
        }
    }
}

/// The headings of the columns, with a line of bars if `bars` is its length in seconds.
pub(crate) fn heading(view: &View, bars: Option<u16>) -> String {
    let mark = |sort| if view.sort() == sort { "*" } else { "" };
    let mut text = format!("{:>8}", format!("CPU %{}", mark(Sort::Own)));
    if view.tab() != Tab::Executables {
        text.push_str(&format!("{:>9}", format!("TOTAL %{}", mark(Sort::Total))));
    }
    if let Some(bars) = bars {
        text.push_str(&format!("  {:width$}", format!("LAST {bars} s"), width = usize::from(bars)));
    }
    let what = match view.tab() {
        Tab::Functions => "FUNCTION",
        Tab::Processes => "PROCESS",
        Tab::Executables | Tab::Icicle | Tab::Stages => "EXECUTABLE",
    };
    format!("{text}  {what}{}", mark(Sort::Name))
}

/// The figures of a row, in percent of `whole` nanoseconds.
pub(crate) fn share(view: &View, row: &Row, whole: u64) -> String {
    let own = format!("{:>8.1}", percent(row.time.own, whole));
    if view.tab() == Tab::Executables {
        return own;
    }
    format!("{own}{:>9.1}", percent(row.time.total, whole))
}

/// The name of a row, `step` columns further to the right for each ancestor.
pub(crate) fn label(row: &Row, step: usize) -> String {
    let gone = if row.gone { " (gone)" } else { "" };
    format!("{}{}{gone}", " ".repeat(step * row.depth.min(MOST_STEPS)), row.name)
}

/// Draws the agent's own stages and threads.
pub(super) fn stages(history: &History, view: &mut View, paper: &mut Paper<'_>, foot: u16) {
    let end = paper.width();
    let lines = stages::lines(history, view, usize::from(end));
    let room = usize::from(foot.saturating_sub(HEAD - 1));
    view.selected = view.selected.min(lines.len().saturating_sub(room));
    for (row, line) in (HEAD - 1..foot).zip(lines.into_iter().skip(view.selected)) {
        let (text, look) = match line {
            StageLine::Heading(text) => (text, TextLook::Heading),
            StageLine::Plain(text) => (text, TextLook::Plain),
            StageLine::Failing(text) => (text, TextLook::Bad),
        };
        paper.text(row, 0, end, &text, look);
    }
}
