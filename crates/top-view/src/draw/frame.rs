//! The rows above and below the list.

use terminal::{grouped, percent};

use super::layout::{HEAD, Screen};
use super::paper::{Paper, TextLook};
use crate::history::History;
use crate::minute::{NANOS, SECONDS};
use crate::series::bars;
use crate::stages::{bytes, permille};
use crate::view::{Tab, View};

/// Seconds that the figures cover: fewer than the window at the beginning, and if some seconds were not sent.
pub(crate) fn seconds(history: &History, view: &View) -> u64 {
    let window = view.window().min(history.seconds());
    window.saturating_sub(history.unheard(window)).max(1)
}

/// Draws the tabs and the machine.
pub(super) fn head(history: &History, view: &View, paper: &mut Paper<'_>) {
    let end = paper.width();
    let mut column = paper.text(0, 0, end, "pipeline top ", TextLook::Heading);
    for (number, tab) in (1..).zip(Tab::ALL) {
        let look = if tab == view.tab() { TextLook::Chosen } else { TextLook::Plain };
        column = paper.text(0, column, end, &format!(" {number} {} ", tab.name()), look);
    }
    if view.is_frozen() {
        paper.text(0, end.saturating_sub(7), end, " FROZEN", TextLook::Notice);
    }
    machine(history, view, paper);
}

fn machine(history: &History, view: &View, paper: &mut Paper<'_>) {
    let end = paper.width();
    let text = figures(history, view);
    let mut column = paper.text(HEAD - 2, 0, end, &text, TextLook::Plain);
    if let Some(executable) = &view.within {
        column = paper.text(HEAD - 2, column, end, &format!(", of {}", executable.name), TextLook::Found);
    }
    if view.is_typing() || !view.filter().is_empty() {
        let cursor = if view.is_typing() { "_" } else { "" };
        column = paper.text(
            HEAD - 2,
            column,
            end,
            &format!(", filter /{}{cursor}", view.filter()),
            TextLook::Found,
        );
    }
    let room = u64::from(end.saturating_sub(column + 2)).min(SECONDS);
    let series = history.series(room, |second| second.cpu);
    let line = bars(&series, u64::from(history.cpus.max(1)).saturating_mul(NANOS));
    let start = end.saturating_sub(u16::try_from(room).unwrap_or_default());
    paper.text(HEAD - 2, start, end, &line, TextLook::Program);
}

/// The use of the machine, as text.
pub(crate) fn figures(history: &History, view: &View) -> String {
    let (mut cpu, mut samples) = (0_u64, 0_u64);
    for second in history.window(view.window()) {
        cpu = cpu.saturating_add(second.cpu);
        samples = samples.saturating_add(second.samples);
    }
    let seconds = seconds(history, view);
    let share = percent(cpu, seconds.saturating_mul(NANOS));
    let (all, rate) = (u64::from(history.cpus) * 100, grouped(samples / seconds));
    format!("CPU {share:.1} % of {all} %, {rate} samples/s, last {seconds} s, by {}", view.sort().name())
}

/// The losses and the agent's state, as two texts, since losses are shown more strikingly.
pub(crate) fn state(history: &History) -> (String, String) {
    let (lag, agent) = (history.lag_ms, &history.agent);
    let (cpu, memory) = (permille(agent.cpu_permille), bytes(agent.memory_bytes));
    let mut lost = format!("lost {}", grouped(history.lost_samples()));
    if history.skipped > 0 {
        lost.push_str(&format!(", {} s not seen", grouped(history.skipped)));
    }
    (lost, format!("lag {}.{} s  agent {cpu} % CPU {memory}", lag / 1_000, lag % 1_000 / 100))
}

/// Draws the last row: losses, the agent's state, and the source of the seconds.
pub(super) fn foot(history: &History, view: &View, screen: &Screen<'_>, paper: &mut Paper<'_>, row: u16) {
    let end = paper.width();
    let (lost, state) = state(history);
    let look =
        if history.lost_samples() > 0 || history.skipped > 0 { TextLook::Bad } else { TextLook::Plain };
    let column = paper.text(row, 0, end, &lost, look);
    let hint = if view.is_typing() { "Enter keeps the filter, Esc removes it" } else { "? help  q quit" };
    let column = paper.text(row, column, end, &format!("  {state}  {hint}  "), TextLook::Plain);
    paper.text(row, column, end, screen.source, TextLook::Dim);
}
