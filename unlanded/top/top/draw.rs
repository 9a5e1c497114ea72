//! The screen.

use std::time::Duration;

use super::history::{History, SECONDS};
use super::icicle;
use super::rows::{self, Row};
use super::spark::sparkline;
use super::view::{Sort, Tab, View};
use crate::canvas::{Canvas, Color, Style};
use crate::figures::{grouped, percent};

/// Rows above the list: tabs, the machine, headings.
const HEAD: usize = 3;
/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

const HELP: [&str; 15] = [
    "1 2 3 4, Tab   executables, functions, processes, icicle",
    "/              filter by a part of the name; Enter keeps it, Esc removes it",
    "s              sort by CPU time of its own (self), with what it called or started (total), by name",
    "w              figures of the last 5, 15, 60 seconds or of the last one",
    "space          freeze the screen, and go on",
    "up down, j k   choose a row; in the icicle: the caller, the call",
    "left right     in the icicle: the call before, the call after",
    "Enter, Esc     in the icicle: look at the chosen call alone, and back",
    "q, Ctrl-C      end",
    "",
    "The line of bars is the last minute, a second each. Dim processes are gone.",
    "lost: samples that are missing, by reason, since the start.",
    "lag: how long ago that was which the screen shows last.",
    "",
    "Any key goes back.",
];

/// How the agent fares.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// CPUs of the machine.
    pub cpus: u32,
    /// Age of the last moment of which everything is known.
    pub lag: Duration,
    /// CPU time of the agent itself, in percent of one CPU.
    pub agent_cpu: f64,
}

/// Draws what `view` looks at. Moves its choice to where there is something.
#[must_use]
pub fn draw(history: &History, view: &mut View, gauges: &Gauges, width: usize, height: usize) -> Canvas {
    let mut canvas = Canvas::new(width, height);
    tabs(view, &mut canvas);
    machine(history, view, gauges, &mut canvas);
    let foot = height.saturating_sub(1);
    if view.help {
        for (row, line) in HELP.iter().enumerate().take(foot.saturating_sub(HEAD)) {
            canvas.text(HEAD + row, 2, width, line, Style::PLAIN);
        }
    } else if view.tab == Tab::Icicle {
        icicle::draw(history, view, &mut canvas, HEAD - 1, foot);
    } else {
        list(history, view, &mut canvas, foot);
    }
    footer(history, view, gauges, &mut canvas, foot);
    canvas
}

fn tabs(view: &View, canvas: &mut Canvas) {
    let end = canvas.width();
    let mut column = canvas.text(0, 0, end, "pipeline top ", Style::BOLD.colored(Color::Cyan));
    for (number, tab) in (1..).zip(Tab::ALL) {
        let style = if tab == view.tab { Style::REVERSE } else { Style::PLAIN };
        column = canvas.text(0, column, end, &format!(" {number} {} ", tab.title()), style);
    }
    if view.frozen {
        canvas.text(0, column + 1, end, "FROZEN", Style::BOLD.colored(Color::Yellow));
    }
}

/// Seconds that the figures are of: fewer than the window in the beginning.
fn seconds(history: &History, view: &View) -> u64 {
    let first = history.seconds.front().map_or(history.current, |second| second.number);
    view.window().min(history.current.saturating_sub(first)).max(1)
}

fn machine(history: &History, view: &View, gauges: &Gauges, canvas: &mut Canvas) {
    let (mut busy, mut samples) = (0, 0);
    for second in history.window(view.window()) {
        busy += second.busy;
        samples += second.samples;
    }
    let seconds = seconds(history, view);
    let cpu = percent(busy, seconds * NANOS);
    let mut text = format!(
        "CPU {cpu:.1} % of {} %, {} samples/s, last {seconds} s, by {}",
        gauges.cpus * 100,
        grouped(samples / seconds),
        view.sort.title()
    );
    if view.typing || !view.filter.is_empty() {
        text.push_str(&format!(", filter /{}", view.filter));
        text.push_str(if view.typing { "_" } else { "" });
    }
    let end = canvas.width();
    let column = canvas.text(1, 0, end, &text, Style::PLAIN);
    let room = end.saturating_sub(column + 2).min(usize::try_from(SECONDS).unwrap_or_default());
    let series = history.series(room as u64, |second| second.busy);
    let line = sparkline(&series, u64::from(gauges.cpus.max(1)) * NANOS);
    canvas.text(1, end.saturating_sub(room), end, &line, Style::PLAIN.colored(Color::Cyan));
}

fn list(history: &History, view: &mut View, canvas: &mut Canvas, foot: usize) {
    let rows = match view.tab {
        Tab::Functions => rows::functions(history, view),
        Tab::Processes => rows::processes(history, view),
        Tab::Executables | Tab::Icicle => rows::executables(history, view),
    };
    let has_total = view.tab != Tab::Executables;
    let bars = if canvas.width() >= 120 { 60 } else { 20 };
    headings(view, canvas, has_total, bars);
    let room = foot.saturating_sub(HEAD);
    view.selected = view.selected.min(rows.len().saturating_sub(1));
    let skipped = view.selected.saturating_sub(room.saturating_sub(1));
    let whole = seconds(history, view) * NANOS;
    for (index, row) in rows.into_iter().enumerate().skip(skipped).take(room) {
        let row = row.with_series(history, bars as u64);
        let line = HEAD + index - skipped;
        draw_row(&row, (has_total, bars, whole), canvas, line);
        if index == view.selected {
            canvas.restyle(line, Style { dim: row.gone, ..Style::REVERSE });
        }
    }
}

fn headings(view: &View, canvas: &mut Canvas, has_total: bool, bars: usize) {
    let mark = |sort| if view.sort == sort { "*" } else { "" };
    let mut text = format!("{:>8}", format!("CPU %{}", mark(Sort::Own)));
    if has_total {
        text.push_str(&format!("{:>9}", format!("TOTAL %{}", mark(Sort::Total))));
    }
    let what = match view.tab {
        Tab::Executables | Tab::Icicle => "EXECUTABLE",
        Tab::Functions => "FUNCTION",
        Tab::Processes => "PROCESS",
    };
    text.push_str(&format!("  {:bars$}  {what}{}", format!("LAST {bars} s"), mark(Sort::Name)));
    let end = canvas.width();
    canvas.text(HEAD - 1, 0, end, &format!("{text:<end$}"), Style::DIM);
}

fn draw_row(row: &Row, (has_total, bars, whole): (bool, usize, u64), canvas: &mut Canvas, line: usize) {
    let (end, style) = (canvas.width(), if row.gone { Style::DIM } else { Style::PLAIN });
    let mut figures = format!("{:>8.1}", percent(row.own, whole));
    if has_total {
        figures.push_str(&format!("{:>9.1}", percent(row.total, whole)));
    }
    let column = canvas.text(line, 0, end, &figures, style);
    let most = row.series.iter().copied().max().unwrap_or_default();
    let line_of_bars = sparkline(&row.series, most);
    canvas.text(line, column + 2, end, &line_of_bars, style.colored(Color::Green));
    let indent = row.depth.min(20) * 2;
    let gone = if row.gone { " (gone)" } else { "" };
    canvas.text(line, column + bars + 4 + indent, end, &format!("{}{gone}", row.name), style);
}

fn footer(history: &History, view: &View, gauges: &Gauges, canvas: &mut Canvas, row: usize) {
    let end = canvas.width();
    let lost: u64 = history.lost.values().sum();
    let reasons: Vec<_> = history.lost.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let style = if lost > 0 { Style::PLAIN.colored(Color::Red) } else { Style::PLAIN };
    let column = canvas.text(row, 0, end, &format!("lost {}{reasons}", grouped(lost)), style);
    let lag = gauges.lag.as_secs_f64();
    let hint = if view.typing { "Enter keeps the filter, Esc removes it" } else { "? help, q quit" };
    let text = format!("  lag {lag:.1} s  agent {:.1} % CPU  {hint}", gauges.agent_cpu);
    canvas.text(row, column, end, &text, Style::PLAIN);
}
