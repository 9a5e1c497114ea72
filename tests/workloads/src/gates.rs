//! Gates: the figures that a profiler must reach.

use crate::score::{Score, Tally};

/// Rows with fewer expected samples say little about coverage.
pub const MIN_EXPECTED: f64 = 300.0;
/// Coverage, %.
pub const COVERAGE: std::ops::RangeInclusive<f64> = 95.0..=107.0;
/// Least share of samples with a right path, %.
pub const RIGHT: f64 = 99.9;
/// Modes in which a profiler that looks things up by pid, or too late, is wrong.
pub const NEVER_WRONG: [&str; 4] = ["chain", "leader_exits", "memfd", "unlink_self"];

/// The mode without a gate of coverage: it runs a tenth of a millisecond at a time, each time just woken up. Timer
/// sampling sees 80-97 % of that, perf's as ours.
const NO_COVERAGE: &str = "launcher";

/// The gates that the score fails, one line each.
#[must_use]
pub fn failures(score: &Score) -> Vec<String> {
    let mut failures = Vec::new();
    let all = [("all", &score.all)];
    let rows = score.modes.iter().map(|(mode, tally)| (mode.as_str(), tally)).chain(all);
    for (row, tally) in rows {
        coverage(row, tally, score.lost, &mut failures);
        if tally.full < tally.samples {
            failures.push(format!(
                "{row}: {} of {} samples have no path",
                tally.samples - tally.full,
                tally.samples
            ));
        }
        if percent(tally.right, tally.samples) < RIGHT {
            failures.push(format!("{row}: {} of {} samples have the right path", tally.right, tally.samples));
        }
        if tally.wrong > 0 && (score.pid_reuse || NEVER_WRONG.contains(&row)) {
            failures.push(format!("{row}: {} samples have a wrong path", tally.wrong));
        }
    }
    if score.strays > 0 {
        failures.push(format!(
            "{} samples name the storm's files for a process that was not there",
            score.strays
        ));
    }
    if score.duplicates > 0 {
        failures.push(format!("{} samples are there twice", score.duplicates));
    }
    failures
}

/// Checks the coverage of a row. Too few samples are forgiven as far as the profiler itself reports them as lost, also
/// those of a timer that did not fire: while the hypervisor stops a virtual CPU, the CPU time of the process goes on,
/// and no sample is taken.
fn coverage(row: &str, tally: &Tally, lost: u64, failures: &mut Vec<String>) {
    if tally.expected < MIN_EXPECTED || row == NO_COVERAGE {
        return;
    }
    let coverage = tally.samples as f64 / tally.expected * 100.0;
    let explained = (tally.samples + lost) as f64 / tally.expected * 100.0;
    if coverage > *COVERAGE.end() || explained < *COVERAGE.start() {
        failures.push(format!(
            "{row}: {} samples of {:.0} expected ({coverage:.1} %), {lost} counted as lost",
            tally.samples, tally.expected
        ));
    }
}

/// The share of `part` in `whole`, %; 100 of nothing.
#[must_use]
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 100.0 } else { part as f64 / whole as f64 * 100.0 }
}
