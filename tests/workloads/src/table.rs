//! Prints a score.

use std::fmt;

use crate::gates::percent;
use crate::score::{Score, Tally};

/// A score as tables for people.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub &'a Score);

const HEAD: [&str; 12] = [
    "processes",
    "seen %",
    "expected",
    "coverage %",
    "full %",
    "right %",
    "wrong %",
    "comm %",
    "state %",
    "own %",
    "script %",
    "in exec",
];

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(score) = self;
        head(f, "mode")?;
        for (mode, tally) in &score.modes {
            row(f, mode, tally)?;
        }
        row(f, "all", &score.all)?;
        writeln!(f)?;
        head(f, "CPU time")?;
        for (lifetime, tally) in &score.lifetimes {
            row(f, lifetime.as_str(), tally)?;
        }
        writeln!(f)?;
        writeln!(f, "lost by the profiler's own count: {} samples", score.lost)?;
        for (reason, count) in &score.reasons {
            writeln!(f, "  {reason}: {count}")?;
        }
        writeln!(f, "strays: {}, duplicates: {}", score.strays, score.duplicates)
    }
}

fn head(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    write!(f, "| {name:<12} |")?;
    HEAD.iter().try_for_each(|column| write!(f, " {column:>10} |"))?;
    write!(f, "\n| {:-<12} |", "")?;
    HEAD.iter().try_for_each(|_| write!(f, " {:->9}: |", ""))?;
    writeln!(f)
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    let coverage = if tally.expected > 0.0 { tally.samples as f64 / tally.expected * 100.0 } else { 100.0 };
    let of = |part| percent(part, tally.samples);
    write!(f, "| {name:<12} | {:>10} | {:>10.0} |", tally.processes, percent(tally.seen, tally.processes))?;
    write!(f, " {:>10.0} | {coverage:>10.1} |", tally.expected)?;
    for share in [tally.full, tally.right] {
        write!(f, " {:>10.2} |", of(share))?;
    }
    write!(f, " {:>10.2} |", of(tally.wrong))?;
    for share in [tally.comm_right, tally.state_right, tally.own_right, tally.script_right] {
        write!(f, " {:>10.2} |", of(share))?;
    }
    writeln!(f, " {:>10} |", tally.in_exec)
}
