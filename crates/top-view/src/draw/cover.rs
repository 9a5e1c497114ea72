//! Screens that cover the rows: help, losses, and the wait for the first second.

use terminal::grouped;

use super::layout::HEAD;
use super::paper::{Paper, TextLook};
use crate::history::History;

const HELP: [&str; 21] = [
    "1 2 3 4 5, Tab  executables, functions, processes, icicle, stages of the agent",
    "/               filter by a part of the name; Enter keeps it, Esc removes it",
    "s               sort by CPU time of its own (self), with what it called or",
    "                forked (total), by name; S T N: these at once",
    "w               figures of the last 5, 15, 60 seconds or of the last one",
    "space           freeze the screen, and go on",
    "l               what was lost, by reason",
    "up down, j k    choose a row; in the icicle: the caller, the call",
    "left right      in the icicle: the call before, the call after",
    "Enter, Esc      look at the functions of the chosen executable alone, and back;",
    "                in the icicle: at the chosen call alone, and back",
    "q, Ctrl-C       end",
    "",
    "100 % is one CPU. The line of bars is the last seconds, its height that of",
    "the row's highest second. Processes that are dim have ended; a total includes",
    "them. lost: samples that are missing since this program attached. lag: age of",
    "the newest second that is complete. agent: what the agent itself costs.",
    "BUSY: the share of time for which a processor worked. DONE: the age of what an",
    "exporter is done with.",
    "",
    "Any key goes back.",
];

/// Draws the meaning of keys and words.
pub(super) fn help(paper: &mut Paper<'_>, foot: u16) {
    let end = paper.width();
    for (row, line) in (HEAD - 1..foot).zip(HELP) {
        paper.text(row, 1, end, line, TextLook::Plain);
    }
}

/// Draws the losses, by reason.
pub(super) fn losses(history: &History, paper: &mut Paper<'_>, foot: u16) {
    let end = paper.width();
    let heading = format!("{:>14}  {:<8}  REASON", "LOST", "WHAT");
    paper.text(HEAD - 1, 0, end, &heading, TextLook::Heading);
    let mut rows = HEAD..foot;
    for ((reason, (is_sample, count)), row) in history.lost.iter().zip(rows.by_ref()) {
        let what = if *is_sample { "samples" } else { "records" };
        let line = format!("{:>14}  {what:<8}  {reason}", grouped(*count));
        paper.text(row, 0, end, &line, if *is_sample { TextLook::Bad } else { TextLook::Plain });
    }
    let words = if history.lost.is_empty() { "Nothing was lost." } else { "" };
    for (line, row) in [words, "", "Since this program attached. Any key goes back."].into_iter().zip(rows) {
        paper.text(row, 1, end, line, TextLook::Plain);
    }
}

/// Draws that no second has come yet.
pub(super) fn waiting(paper: &mut Paper<'_>) {
    let end = paper.width();
    paper.text(HEAD, 1, end, "Waiting for the first second.", TextLook::Plain);
}
