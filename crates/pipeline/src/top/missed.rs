//! Seconds that were not shown.

use profile_seconds::{Losses, LostRecords, Report};

/// The seconds since the last report that was shown, and the records lost in them.
#[derive(Debug, Default)]
pub(super) struct Missed {
    seconds: u64,
    lost: Losses,
}

impl Missed {
    pub(super) fn add(&mut self, seconds: u64, lost: &[LostRecords]) {
        self.seconds = self.seconds.saturating_add(seconds);
        self.lost.add(lost);
    }

    /// Adds the missed seconds and losses to the next report, so that all losses are shown in the end.
    pub(super) fn put_into(&mut self, report: &mut Report) {
        report.skipped = report.skipped.saturating_add(std::mem::take(&mut self.seconds));
        self.lost.add(&report.second.lost);
        report.second.lost = self.lost.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_in_the_next_report() {
        let report = |lost: &[(&str, u64)]| {
            let mut report = Report::default();
            report.second.lost = lost.iter().map(|&(reason, count)| (reason.into(), true, count)).collect();
            report
        };
        let mut missed = Missed::default();
        for lost in [[("a", 1), ("b", 2)], [("b", 3), ("c", 4)]] {
            let mut report = report(&lost);
            missed.put_into(&mut report);
            missed.add(report.skipped + 1, &report.second.lost);
        }
        let mut next = report(&[("a", 10)]);
        missed.put_into(&mut next);
        let mut lost: Vec<_> =
            next.second.lost.iter().map(|(reason, _, count)| (&**reason, *count)).collect();
        lost.sort_unstable();
        assert_eq!((next.skipped, &*lost), (2, &[("a", 11), ("b", 5), ("c", 4)][..]));
        missed.put_into(&mut next);
        assert_eq!(next.skipped, 2, "once");
    }
}
