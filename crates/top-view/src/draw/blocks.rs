//! The icicle: calls as blocks, each below its caller.

use std::ops::Range;

use profile_seconds::CallKind;
use terminal::percent;

use super::layout::HEAD;
use super::paper::{Paper, TextLook};
use crate::calls::Calls;
use crate::history::History;
use crate::icicle::find;
use crate::rows::function_name;
use crate::text;
use crate::view::{View, ids};

/// Draws the calls in the rows up to `foot`; the last row before it has the name of the chosen call.
pub(super) fn draw(history: &History, view: &View, paper: &mut Paper<'_>, foot: u16) {
    let calls = Calls::of(history, view.window());
    let children = calls.children();
    let place = |way| find(&calls, &children, &ids(way, history));
    let (top, chosen) = (place(&view.zoom), place(&view.chosen));
    let Some(last) = foot.checked_sub(1) else { return };
    let end = paper.width();
    let icicle = Icicle { history, view, calls: &calls, children: &children, chosen };
    icicle.block(paper, top, HEAD - 1..last, 0..end);
    let share = percent(calls.total(chosen), calls.total(Calls::ROOT));
    paper.text(last, 0, end, &format!("{share:.1} % of all: {}", icicle.name(chosen)), TextLook::Bold);
}

struct Icicle<'a> {
    history: &'a History,
    view: &'a View,
    calls: &'a Calls,
    children: &'a [Vec<usize>],
    chosen: usize,
}

impl Icicle<'_> {
    fn name(&self, call: usize) -> String {
        let call = self.calls.get(call);
        call.map_or_else(|| "everything".to_owned(), |call| function_name(self.history, call.function))
    }

    /// The name without its module; for an executable its path without the directory.
    fn short_name(&self, call: usize) -> &str {
        let Some(call) = self.calls.get(call) else { return "everything" };
        let name = self.history.names.text(call.function.name);
        if call.kind == CallKind::Executable { name.rsplit('/').next().unwrap_or(name) } else { name }
    }

    fn look(&self, call: usize, name: &str) -> TextLook {
        if call == self.chosen {
            return TextLook::Chosen;
        }
        if !self.view.filter().is_empty() && self.view.wants(name) {
            return TextLook::Found;
        }
        match self.calls.get(call).map(|call| call.kind) {
            Some(CallKind::Kernel) => TextLook::Kernel,
            Some(CallKind::User) => TextLook::Program,
            Some(CallKind::Executable) | None => TextLook::Executable,
        }
    }

    /// Draws a call, and its callees below it, each in its share of the columns.
    fn block(&self, paper: &mut Paper<'_>, call: usize, rows: Range<u16>, columns: Range<u16>) {
        let mut open = vec![(call, rows.start, columns)];
        while let Some((call, row, columns)) = open.pop() {
            if row >= rows.end || columns.is_empty() {
                continue;
            }
            let look = self.look(call, &self.name(call));
            let name = text::beginning(self.short_name(call), columns.len() - 1);
            paper.block(row, columns.start, columns.end, &format!("▏{name}"), look);
            let (all, mut column) = (u128::from(self.calls.total(call).max(1)), columns.start);
            for &child in self.children.get(call).into_iter().flatten() {
                let share = u128::from(self.calls.total(child)) * columns.len() as u128 / all;
                // A callee is no wider than the rest of its caller.
                let width = u16::try_from(share).unwrap_or(u16::MAX).min(columns.end - column);
                if width == 0 {
                    break;
                }
                open.push((child, row + 1, column..column + width));
                column += width;
            }
        }
    }
}
