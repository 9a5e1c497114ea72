//! The report of a window as text.

use std::fmt::{self, Write};
use std::time::Duration;

use pdata::rfc3339;
use textline::printable;
use windows::{Closed, GroupBy, Grouping};

use crate::config::{Config, Verbosity};
use crate::tally::{ImageTally, KnownImage, Tally};
use crate::text::counted;

/// Number of places in the code that are listed for each process.
const TOP_LEAVES: usize = 5;

/// The report of a window, with an empty line at its end unless it is a single line.
pub(crate) fn report(config: &Config, window: &Closed<Tally>) -> String {
    let report =
        Report { config, tally: &window.gathered, length: window.until.saturating_since(window.from) };
    let mut text = String::new();
    // Writing to a string does not fail.
    let _infallible = report.write(&window.gathered.clock_text(window), &mut text);
    text
}

impl Tally {
    /// Start of the window, wall clock in UTC, to the second.
    fn clock_text(&self, window: &Closed<Self>) -> String {
        let time = rfc3339::format(self.clock.unix(window.from));
        time.split_once('.').map(|(seconds, _)| format!("{seconds}Z")).unwrap_or(time)
    }
}

struct Report<'a> {
    config: &'a Config,
    tally: &'a Tally,
    length: Duration,
}

impl Report<'_> {
    fn write(&self, start: &str, out: &mut String) -> fmt::Result {
        let seconds = self.length.as_secs_f64();
        if self.config.verbosity == Verbosity::Basic {
            return writeln!(
                out,
                "{start} {seconds:.1} s: resource profiles: {}, sample records: {}, samples: {}, lost: {}",
                self.tally.images.len(),
                self.tally.records(),
                self.tally.samples,
                self.tally.losses.samples(),
            );
        }
        writeln!(out, "{start}, {seconds:.1} s: {}", counted(self.tally.samples, "sample"))?;
        self.rows(out)?;
        if self.config.verbosity == Verbosity::Detailed {
            self.processes(out)?;
        }
        writeln!(out)
    }

    fn rows(&self, out: &mut String) -> fmt::Result {
        let rows = self.tally.rows(&Grouping::new(&self.config.group_by, Duration::ZERO));
        let titles: Vec<_> = self.config.group_by.iter().map(|by| by.title().to_uppercase()).collect();
        let titles = printable(&titles.join("  ")).into_owned();
        writeln!(out, "{:>8} {:>8} {:>6}  {titles}", "CPU %", "SAMPLES", "PIDS")?;
        let (listed, rest) = rows.split_at(rows.len().min(self.config.top));
        for row in listed {
            self.row(row.samples, row.cpu, row.processes, &printable(&row.label), out)?;
        }
        if !rest.is_empty() {
            let samples = rest.iter().map(|row| row.samples).sum();
            let cpu = rest.iter().map(|row| row.cpu).sum();
            let pids = rest.iter().map(|row| row.processes).sum();
            self.row(samples, cpu, pids, &format!("({} more)", rest.len()), out)?;
        }
        let pids = rows.iter().map(|row| row.processes).sum();
        self.row(self.tally.samples, self.tally.cpu, pids, "total", out)?;
        self.lost(out)
    }

    fn row(&self, samples: u64, cpu: Duration, pids: usize, name: &str, out: &mut String) -> fmt::Result {
        writeln!(out, "{:>8.1} {samples:>8} {pids:>6}  {name}", self.percent(cpu))
    }

    /// CPU time that lost samples stand for, if they were like those that came.
    fn as_if_delivered(&self, lost: u64) -> Duration {
        let each = self.tally.cpu.as_secs_f64() / (self.tally.samples.max(1) as f64);
        Duration::from_secs_f64(each * lost as f64)
    }

    /// Percent of one CPU that was busy for `busy`.
    fn percent(&self, busy: Duration) -> f64 {
        100.0 * busy.as_secs_f64() / self.length.as_secs_f64()
    }

    /// Writes the line of lost samples, with their reasons.
    fn lost(&self, out: &mut String) -> fmt::Result {
        let losses = &self.tally.losses;
        let lost = losses.samples();
        write!(out, "{:>8.1} {lost:>8} {:>6}  lost", self.percent(self.as_if_delivered(lost)), "")?;
        let mut separator = ": ";
        for (reason, count) in losses.iter() {
            write!(out, "{separator}{} {count}", reason.as_str())?;
            separator = ", ";
        }
        writeln!(out)
    }

    fn processes(&self, out: &mut String) -> fmt::Result {
        let images = self.tally.images();
        let (listed, rest) = images.split_at(images.len().min(self.config.top));
        for (who, tally) in listed {
            process(who, tally, out)?;
        }
        match rest.len() {
            0 => Ok(()),
            more => writeln!(out, "({} not listed)", counted(more as u64, "process")),
        }
    }
}

fn process(who: &KnownImage, tally: &ImageTally, out: &mut String) -> fmt::Result {
    let ((key, _), _) = who;
    let name = GroupBy::Executable.label(&tally.as_member(who));
    let samples = counted(tally.samples, "sample");
    writeln!(out, "pid {} {}, {samples}", key.process.pid, printable(&name))?;
    let mut leaves: Vec<_> = tally.leaves.iter().collect();
    leaves.sort_by_key(|(_, samples)| std::cmp::Reverse(**samples));
    let (listed, rest) = leaves.split_at(leaves.len().min(TOP_LEAVES));
    for (place, samples) in listed {
        writeln!(out, "{samples:>17}  {}", printable(place))?;
    }
    match rest.len() {
        0 => Ok(()),
        more => {
            let samples: u64 = rest.iter().map(|(_, samples)| **samples).sum();
            writeln!(out, "{samples:>17}  ({} more)", counted(more as u64, "place"))
        }
    }
}
