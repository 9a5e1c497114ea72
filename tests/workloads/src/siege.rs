//! Sieges: the bounds that an agent must keep to while hostile programs run.

use std::fmt;
use std::ops::RangeInclusive;

use crate::agent::Usage;
use crate::gates::percent;
use crate::profiles::Profiles;
use crate::score::Score;

/// Least share of the samples of other programs that have the right path, %.
pub const RIGHT: f64 = 99.9;
/// Samples of other programs that are there or counted as lost, % of those that are due.
pub const EXPLAINED: RangeInclusive<f64> = 95.0..=107.0;
/// Most memory of the agent, bytes.
pub const MEMORY: u64 = 256 << 20;
/// Most CPU time of the agent, of one CPU's time.
pub const CPU: f64 = 0.3;

/// The result of a run of some tools.
#[derive(Clone, Debug)]
pub struct Siege {
    /// The tools, with the number of times that each did its work.
    pub tools: Vec<(String, u64)>,
    /// The score of other programs' samples against the truth.
    pub score: Score,
    /// Samples in all windows.
    pub found: u64,
    /// Samples that the windows should have had.
    pub expected: u64,
    /// Samples that the windows report as lost.
    pub lost: u64,
    /// The agent's cost.
    pub usage: Usage,
    /// Time that the agent has run, seconds.
    pub seconds: f64,
}

impl Siege {
    /// The siege by the figures of the profiles.
    #[must_use]
    pub fn of(
        tools: Vec<(String, u64)>,
        score: Score,
        profiles: &Profiles,
        usage: Usage,
        seconds: f64,
    ) -> Self {
        Self {
            tools,
            score,
            found: profiles.samples.len() as u64,
            expected: profiles.windows.values().map(|window| window.expected).sum(),
            lost: profiles.lost(),
            usage,
            seconds,
        }
    }

    fn cpu(&self) -> f64 {
        self.usage.cpu.as_secs_f64() / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The bounds that the agent did not keep to, one line each.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let victims = &self.score.all;
        let mut failures = Vec::new();
        let mut check = |holds: bool, text: String| {
            if !holds {
                failures.push(text);
            }
        };
        let right = format!("{} of {} samples have the right path", victims.right, victims.samples);
        check(victims.samples > 0 && percent(victims.right, victims.samples) >= RIGHT, right);
        let (least, most) = (victims.samples as f64, (victims.samples + self.score.lost) as f64);
        let of_due = |count: f64| count / victims.expected.max(1.0) * 100.0;
        check(
            of_due(least) <= *EXPLAINED.end() && of_due(most) >= *EXPLAINED.start(),
            format!("{least} samples of {:.0} due, {} counted as lost", victims.expected, self.score.lost),
        );
        check(
            self.found + self.lost == self.expected,
            format!("the windows hold {} samples and lost {}, of {}", self.found, self.lost, self.expected),
        );
        check(
            self.score.strays == 0,
            format!("{} samples of processes that were not there", self.score.strays),
        );
        check(self.score.duplicates == 0, format!("{} samples are there twice", self.score.duplicates));
        check(self.usage.peak_rss <= MEMORY, format!("{} MiB of memory", self.usage.peak_rss >> 20));
        check(self.cpu() <= CPU, format!("{:.0} % of a CPU", self.cpu() * 100.0));
        failures
    }
}

/// The head of the table whose rows sieges are.
#[derive(Clone, Copy, Debug)]
pub struct Head;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| tool         |      did | samples | right % | wrong | due    | lost   | agent: CPU % | peak MiB |"
        )?;
        write!(
            f,
            "| ------------ | -------: | ------: | ------: | ----: | -----: | -----: | -----------: | -------: |"
        )
    }
}

impl fmt::Display for Siege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, did) = match self.tools.as_slice() {
            [(name, did)] => (name.as_str(), did.to_string()),
            _ => ("all at once", String::new()),
        };
        let victims = &self.score.all;
        write!(
            f,
            "| {name:<12} | {did:>8} | {:>7} | {:>7.2} | {:>5} | {:>6.0} | {:>6} | {:>12.1} | {:>8} |",
            victims.samples,
            percent(victims.right, victims.samples),
            victims.wrong,
            victims.expected,
            self.score.lost,
            self.cpu() * 100.0,
            self.usage.peak_rss >> 20,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::score::Tally;

    /// A siege that the agent has stood.
    fn stood() -> Siege {
        let all = Tally { samples: 2000, full: 2000, right: 1999, expected: 2010.0, ..Tally::default() };
        Siege {
            tools: vec![("renames".to_owned(), 7)],
            score: Score { all, ..Score::default() },
            found: 9000,
            expected: 9010,
            lost: 10,
            usage: Usage { cpu: Duration::from_secs(3), rss: 1, peak_rss: MEMORY },
            seconds: 10.0,
        }
    }

    #[test]
    fn a_siege_that_was_stood_fails_no_gate() {
        assert_eq!(stood().failures(), Vec::<String>::new());
        assert!(stood().to_string().contains("| renames "), "{}", stood());
    }

    /// A change of a siege for the worse.
    type Worsen = fn(&mut Siege);

    #[test]
    fn each_gate_fires_on_what_it_is_for_and_no_other() {
        let worse: [(Worsen, &str); 9] = [
            (|siege| siege.score.all.right = 1997, "right path"),
            (|siege| siege.score.all.expected = 2200.0, "due"),
            (|siege| siege.score.all.expected = 1800.0, "due"),
            (|siege| siege.lost = 9, "the windows hold"),
            (|siege| siege.found = 9001, "the windows hold"),
            (|siege| siege.score.strays = 1, "not there"),
            (|siege| siege.score.duplicates = 1, "twice"),
            (|siege| siege.usage.peak_rss += 1, "memory"),
            (|siege| siege.usage.cpu = Duration::from_secs(4), "of a CPU"),
        ];
        for (worsen, text) in worse {
            let mut siege = stood();
            worsen(&mut siege);
            let failures = siege.failures();
            assert!(failures.len() == 1 && failures[0].contains(text), "{text}: {failures:?}");
        }
    }

    #[test]
    fn what_is_counted_as_lost_is_forgiven_and_no_samples_at_all_are_not() {
        let mut siege = stood();
        siege.score.all.expected = 2200.0;
        siege.score.lost = 200;
        assert_eq!(siege.failures(), Vec::<String>::new());
        siege.score.all = Tally::default();
        assert!(!siege.failures().is_empty());
    }
}
