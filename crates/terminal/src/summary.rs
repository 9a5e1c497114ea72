//! The summary of a recording, in a few lines.

use std::fmt::{self, Write};
use std::time::Duration;

use textline::printable;

use crate::figures::{grouped, percent, shortened};
use crate::tally::Tally;

/// Number of functions and of executables that are listed.
const TOP: usize = 10;
/// Most characters of a name.
const WIDTH: usize = 100;

/// Facts of a recording apart from its samples.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Time that the recording covers.
    pub length: Duration,
    /// Samples per second and CPU.
    pub samples_per_second: u32,
    /// CPU time of the command and of the descendants that it waited for, as the kernel counts it.
    pub command_cpu: Option<Duration>,
    /// Number of samples of other processes on the machine.
    pub others: u64,
}

/// The summary of a recording, some lines of text, fit for a terminal whatever the names in it are.
#[must_use]
pub fn summary(tally: &Tally, facts: &Facts) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _infallible = Summary { tally, facts }.write(&mut text);
    text
}

struct Summary<'a> {
    tally: &'a Tally,
    facts: &'a Facts,
}

impl Summary<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let Self { tally, facts } = self;
        let (length, cpu) = (facts.length.as_secs_f64(), tally.cpu.as_secs_f64());
        let (samples, rate) = (grouped(tally.samples), facts.samples_per_second);
        write!(out, "{samples} samples in {length:.1} s at {rate} Hz: {cpu:.2} s of CPU time")?;
        if let Some(kernel) = facts.command_cpu {
            write!(out, " (the kernel counts {:.2} s)", kernel.as_secs_f64())?;
        }
        writeln!(out)?;
        if tally.samples > 0 {
            self.functions(out)?;
            self.executables(out)?;
        }
        self.lost(out)
    }

    fn functions(&self, out: &mut String) -> fmt::Result {
        let functions = self.tally.ranked_functions();
        writeln!(out, "\n{:>7} {:>7}  FUNCTION", "SELF", "TOTAL")?;
        for (id, share) in functions.iter().take(TOP) {
            let (own, total) = (self.percent(share.own), self.percent(share.total));
            let (name, module) = (self.tally.names.text(id.name), self.tally.names.text(id.module));
            let name = shortened(&printable(name), WIDTH);
            writeln!(out, "{own:>6.1}% {total:>6.1}%  {name} ({})", printable(module))?;
        }
        let rest = functions.get(TOP..).unwrap_or_default();
        if !rest.is_empty() {
            let own = rest.iter().map(|(_, share)| share.own).sum();
            writeln!(out, "{:>6.1}% {:>7}  ({} more)", self.percent(own), "", grouped(rest.len() as u64))?;
        }
        Ok(())
    }

    fn executables(&self, out: &mut String) -> fmt::Result {
        let executables = self.tally.ranked_executables();
        writeln!(out, "\n{:>7} {:>9}  EXECUTABLE", "CPU", "SAMPLES")?;
        for (name, samples) in executables.iter().take(TOP) {
            let (share, name) = (self.percent(*samples), shortened(&printable(name), WIDTH));
            writeln!(out, "{share:>6.1}% {:>9}  {name}", grouped(*samples))?;
        }
        let rest = executables.get(TOP..).unwrap_or_default();
        if !rest.is_empty() {
            let samples = rest.iter().map(|(_, samples)| samples).sum();
            let (share, more) = (self.percent(samples), grouped(rest.len() as u64));
            writeln!(out, "{share:>6.1}% {:>9}  ({more} more)", grouped(samples))?;
        }
        Ok(())
    }

    /// Writes the numbers of samples that are missing or incomplete, with the reasons.
    fn lost(&self, out: &mut String) -> fmt::Result {
        let Self { tally, facts } = self;
        let (truncated, unnamed) = (self.percent(tally.truncated), self.percent(tally.unnamed));
        writeln!(
            out,
            "\nStacks cut short: {truncated:.1} %. Samples in code without a name: {unnamed:.1} %."
        )?;
        write!(out, "Samples lost on this machine: {}", grouped(tally.losses.samples()))?;
        let mut separator = " (";
        for (reason, count) in tally.losses.iter() {
            write!(out, "{separator}{} {}", reason.as_str(), grouped(count))?;
            separator = ", ";
        }
        let end = if separator == ", " { ")" } else { "" };
        write!(out, "{end}.")?;
        if facts.others > 0 {
            write!(out, " Samples of other processes, left out: {}.", grouped(facts.others))?;
        }
        writeln!(out)
    }

    fn percent(&self, samples: u64) -> f64 {
        percent(samples, self.tally.samples)
    }
}
