//! Views as lines of text, for output without a terminal.

use std::fmt::Write as _;

use terminal::percent;

use crate::calls::Calls;
use crate::draw::{figures, heading, label, rows_of, seconds, share, state};
use crate::history::History;
use crate::minute::NANOS;
use crate::rows::{Row, function_name};
use crate::stages::{self, StageLine};
use crate::text::shown;
use crate::view::{Tab, View};

/// Columns of a line for output that nothing cuts.
const COLUMNS: usize = 200;
/// Number of parts of all time: a call that takes less than one of them is not listed.
const SMALLEST_PART: u64 = 100;

/// A view as lines of text, with the first `most` of its rows: a line of the machine's use, then the table.
///
/// No name in the text steers a terminal.
#[must_use]
pub fn plain(history: &History, view: &View, most: usize) -> String {
    let (lost, state) = state(history);
    let mut text = format!("{}; {lost}  {state}\n", figures(history, view));
    for (reason, (_, count)) in &history.lost {
        line(&mut text, &format!("lost {count} by {reason}"));
    }
    match view.tab() {
        Tab::Stages => stages(history, view, &mut text),
        Tab::Icicle => icicle(history, view, most, &mut text),
        Tab::Executables | Tab::Functions | Tab::Processes => rows(history, view, most, &mut text),
    }
    text
}

fn rows(history: &History, view: &View, most: usize, text: &mut String) {
    let rows = rows_of(history, view);
    let whole = seconds(history, view).saturating_mul(NANOS);
    line(text, &heading(view, None));
    for row in rows.iter().take(most) {
        let row = Row { name: row.full_name(), ..row.clone() };
        line(text, &format!("{}  {}", share(view, &row, whole), label(&row, 2)));
    }
    if let Some(rest) = rows.len().checked_sub(most).filter(|&rest| rest > 0) {
        line(text, &format!("({rest} more)"));
    }
}

fn stages(history: &History, view: &View, text: &mut String) {
    for stage in stages::lines(history, view, COLUMNS) {
        let (StageLine::Heading(words) | StageLine::Plain(words) | StageLine::Failing(words)) = stage;
        line(text, words.trim_end());
    }
}

/// The calls that take a hundredth or more, each further to the right than its caller.
fn icicle(history: &History, view: &View, most: usize, text: &mut String) {
    let calls = Calls::of(history, view.window());
    let (children, all) = (calls.children(), calls.total(Calls::ROOT));
    line(text, &format!("{:>8}  CALL", "OF ALL %"));
    let mut open: Vec<_> = children.first().into_iter().flatten().rev().map(|&call| (call, 0)).collect();
    let mut listed = 0;
    while let Some((number, depth)) = open.pop() {
        let Some(call) = calls.get(number) else { continue };
        if call.total < all / SMALLEST_PART || listed == most {
            continue;
        }
        let (share, name) = (percent(call.total, all), function_name(history, call.function));
        line(text, &format!("{share:>8.1}  {}{name}", " ".repeat(depth)));
        listed += 1;
        open.extend(children.get(number).into_iter().flatten().rev().map(|&call| (call, depth + 1)));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _written = writeln!(text, "{}", shown(line));
}
