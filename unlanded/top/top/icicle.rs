//! Calls, each below its caller and as wide as what it takes.

use super::calls::Calls;
use super::history::History;
use super::view::View;
use crate::canvas::{Canvas, Color, Style};
use crate::figures::percent;
use crate::tally::FunctionId;

/// A step to another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// To the caller.
    Out,
    /// To the most expensive call that it makes.
    In,
    /// To the call before it, of the same caller.
    Before,
    /// To the call after it.
    After,
}

/// The calls of a window.
fn merged(history: &History, seconds: u64) -> Calls {
    let mut calls = Calls::default();
    history.window(seconds).for_each(|second| calls.merge(&second.calls));
    calls
}

/// The call at the end of a way from the root, or as far as the way goes.
fn find(calls: &Calls, children: &[Vec<usize>], way: &[FunctionId]) -> usize {
    let mut place = Calls::ROOT;
    for function in way {
        let of = children.get(place).into_iter().flatten();
        let next = of.copied().find(|&call| calls.get(call).is_some_and(|call| call.function == *function));
        let Some(next) = next else { return place };
        place = next;
    }
    place
}

/// The way from the root to a call.
fn way(calls: &Calls, mut place: usize) -> Vec<FunctionId> {
    let mut way = Vec::new();
    while let Some(call) = calls.get(place) {
        way.push(call.function);
        place = call.parent;
    }
    way.reverse();
    way
}

/// Moves what is chosen, within what is shown.
pub(super) fn walk(
    history: &History,
    seconds: u64,
    zoom: &[FunctionId],
    chosen: &mut Vec<FunctionId>,
    step: Move,
) {
    let calls = merged(history, seconds);
    let children = calls.children();
    let (top, place) = (find(&calls, &children, zoom), find(&calls, &children, chosen));
    let siblings = calls.get(place).and_then(|call| children.get(call.parent)).map_or(&[][..], |of| of);
    let index = siblings.iter().position(|&call| call == place);
    let neighbour = |index: Option<usize>| index.and_then(|index| siblings.get(index)).copied();
    let next = match step {
        Move::In => children.get(place).and_then(|of| of.first()).copied(),
        Move::Out => calls.get(place).map(|call| call.parent),
        Move::Before => neighbour(index.and_then(|index| index.checked_sub(1))),
        Move::After => neighbour(index.map(|index| index + 1)),
    };
    if let Some(next) = next.filter(|_| step == Move::In || place != top) {
        *chosen = way(&calls, next);
    }
}

/// Draws the calls into these rows of a screen; the last row says what is chosen.
pub(super) fn draw(history: &History, view: &View, canvas: &mut Canvas, from: usize, until: usize) {
    let calls = merged(history, view.window());
    let children = calls.children();
    let (top, chosen) = (find(&calls, &children, &view.zoom), find(&calls, &children, &view.chosen));
    let Some(last) = until.checked_sub(1) else { return };
    let icicle = Icicle { history, calls: &calls, children: &children, chosen, filter: view.filter.to_lowercase() };
    icicle.block(canvas, top, from..last, 0..canvas.width());
    let (own, all) = (calls.total(chosen), calls.total(Calls::ROOT));
    let text = format!("{:.1} % of all: {}", percent(own, all), icicle.name(chosen));
    canvas.text(last, 0, canvas.width(), &text, Style::BOLD);
}

struct Icicle<'a> {
    history: &'a History,
    calls: &'a Calls,
    children: &'a [Vec<usize>],
    chosen: usize,
    filter: String,
}

impl Icicle<'_> {
    fn name(&self, call: usize) -> String {
        let Some(call) = self.calls.get(call) else { return "everything".to_owned() };
        let text = |name| self.history.names.text(name);
        format!("{} ({})", text(call.function.name), text(call.function.module))
    }

    /// Draws a call, and those that it makes below it.
    fn block(
        &self,
        canvas: &mut Canvas,
        call: usize,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
    ) {
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        let name = self.name(call);
        let found = !self.filter.is_empty() && name.to_lowercase().contains(&self.filter);
        let kernel = self.calls.get(call).is_some_and(|call| call.kernel);
        let color = match (found, kernel) {
            (true, _) => Color::Yellow,
            (_, true) => Color::Blue,
            _ => Color::Green,
        };
        let style = Style { reverse: call == self.chosen, bold: found, ..Style::PLAIN }.colored(color);
        let text = format!("▏{name:<width$}", width = columns.len());
        canvas.text(rows.start, columns.start, columns.end, &text, style);
        let (all, mut column) = (u128::from(self.calls.total(call).max(1)), columns.start);
        for &child in self.children.get(call).into_iter().flatten() {
            let share = u128::from(self.calls.total(child)) * columns.len() as u128 / all;
            // No wider than what holds it.
            let width = usize::try_from(share).unwrap_or_default().min(columns.end - column);
            if width == 0 {
                break;
            }
            self.block(canvas, child, rows.start + 1..rows.end, column..column + width);
            column += width;
        }
    }
}
