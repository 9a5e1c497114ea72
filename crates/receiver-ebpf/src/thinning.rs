//! Samples that the kernel's own limit keeps from being taken.
//!
//! Above `kernel.perf_event_max_sample_rate` the kernel stops each timer for the rest of a tick of its own, and counts
//! nothing. The missing samples are those that the CPUs' working time asks for, less those that were due.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::roster::CpuTicks;

/// Counts the missing samples of each CPU, for as long as samples are thinned.
#[derive(Debug, Default)]
pub(crate) struct Thinning {
    cpus: BTreeMap<u32, Account>,
}

/// The work and the due samples of a CPU by the last look, with the work that is still uncounted.
#[derive(Clone, Copy, Debug)]
struct Account {
    busy: Duration,
    due: u64,
    /// Nanoseconds of work without a sample, of either sign: the number of samples in a second of work is chance, which
    /// must not add up.
    owed: i128,
}

impl Thinning {
    /// The number of samples missing since the last look. The first look after samples began to be thinned finds none.
    ///
    /// `busy` is the time that each CPU has worked so far, `ticks` the number of samples that it was due; a CPU that is
    /// not in both is left out.
    pub(crate) fn look(
        &mut self,
        is_thinned: bool,
        busy: &BTreeMap<u32, Duration>,
        ticks: &[CpuTicks],
        period: Duration,
    ) -> u64 {
        if !is_thinned {
            self.cpus.clear();
            return 0;
        }
        let before = std::mem::take(&mut self.cpus);
        let mut missing = 0;
        for ticks in ticks {
            let Some(&busy) = busy.get(&ticks.cpu) else { continue };
            let mut account = Account { busy, due: ticks.due, owed: 0 };
            if let Some(before) = before.get(&ticks.cpu) {
                missing += account.settle(before, period);
            }
            self.cpus.insert(ticks.cpu, account);
        }
        missing
    }
}

impl Account {
    /// Returns the whole samples that are missing since `before`; the rest is carried over.
    fn settle(&mut self, before: &Self, period: Duration) -> u64 {
        let nanos = |span: Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
        let period = nanos(period).max(1);
        let due = i128::from(self.due.saturating_sub(before.due)).saturating_mul(period);
        let owed =
            before.owed.saturating_add(nanos(self.busy.saturating_sub(before.busy))).saturating_sub(due);
        let missing = u64::try_from(owed.max(0) / period).unwrap_or(u64::MAX);
        self.owed = owed - i128::from(missing).saturating_mul(period);
        missing
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(1);

    fn look(thinning: &mut Thinning, is_thinned: bool, busy: u64, due: u64) -> u64 {
        let busy = [(0, Duration::from_millis(busy))].into();
        thinning.look(is_thinned, &busy, &[CpuTicks { cpu: 0, all: due, due }], PERIOD)
    }

    /// A CPU at work for a second, of which a quarter was sampled.
    #[test]
    fn what_work_asks_for_beyond_what_was_due_is_missing() {
        let mut thinning = Thinning::default();
        assert_eq!(look(&mut thinning, true, 500, 70), 0, "what was before is not known");
        assert_eq!(look(&mut thinning, true, 1500, 320), 750);
        assert_eq!(look(&mut thinning, true, 1500, 320), 0, "nor is an idle CPU asked for anything");
        assert_eq!(look(&mut thinning, false, 2500, 400), 0, "the limit has been raised");
        assert_eq!(look(&mut thinning, true, 3500, 500), 0);
        assert_eq!(look(&mut thinning, true, 4500, 700), 800);
    }

    #[test]
    fn a_cpu_without_figures_is_left_out_and_begins_anew() {
        let mut thinning = Thinning::default();
        look(&mut thinning, true, 0, 0);
        let none = BTreeMap::new();
        assert_eq!(thinning.look(true, &none, &[CpuTicks { cpu: 0, all: 9, due: 9 }], PERIOD), 0);
        assert_eq!(look(&mut thinning, true, 5000, 10), 0);
    }

    proptest! {
        /// However looks fall, the samples reported in all are those missing in the end, and at most those by which
        /// chance was ahead in between.
        #[test]
        fn chance_does_not_add_up(steps in prop::collection::vec((0_u64..20, 0_u64..20), 1..50)) {
            let (mut thinning, mut busy, mut due, mut reported) = (Thinning::default(), 0, 0, 0);
            let (mut owed, mut most) = (0_i64, 0_i64);
            look(&mut thinning, true, 0, 0);
            for (worked, sampled) in steps {
                (busy, due) = (busy + worked, due + sampled);
                owed += worked.cast_signed() - sampled.cast_signed();
                most = most.max(owed);
                reported += look(&mut thinning, true, busy, due);
                prop_assert_eq!(reported, most.unsigned_abs());
            }
        }
    }
}
