//! What the kernel side counted: samples that were due, and records it could not store.

use std::time::Duration;

use aya::maps::{MapData, PerCpuArray};
use pdata::{KTime, LossReason};

use crate::abi::Counter;

/// Counters that are losses as they stand.
const LOSSES: [(Counter, LossReason); 5] = [
    (Counter::SampleRingFull, LossReason::SampleRingFull),
    (Counter::SampleNoScratch, LossReason::SampleNoScratch),
    (Counter::LifecycleRingFull, LossReason::LifecycleRingFull),
    (Counter::LifecycleNoScratch, LossReason::LifecycleNoScratch),
    (Counter::RenameOverBudget, LossReason::RenameOverBudget),
];
/// A timer's first and next tick may fall either side of the instants that are compared.
const TICK_SLACK: u64 = 2;

/// Reads the counters, and says what was lost since the last reading.
pub(crate) struct Counters {
    map: PerCpuArray<MapData, u64>,
    cpus: Vec<u32>,
    ticks: Ticks,
    reported: [u64; LOSSES.len()],
    unreadable: bool,
}

/// How many ticks a CPU's timer should have made.
#[derive(Debug)]
struct Ticks {
    since: KTime,
    /// When the timers were stopped: from then on no tick is due.
    until: Option<KTime>,
    period: Duration,
    /// By position in `cpus`.
    missed: Vec<u64>,
}

impl Counters {
    /// Counters of CPUs whose timers started at `since`.
    pub(crate) fn new(
        map: PerCpuArray<MapData, u64>,
        cpus: Vec<u32>,
        since: KTime,
        period: Duration,
    ) -> Self {
        let ticks = Ticks { since, until: None, period, missed: vec![0; cpus.len()] };
        Self { map, cpus, ticks, reported: [0; LOSSES.len()], unreadable: false }
    }

    /// The timers ran until `at`, and are stopped.
    pub(crate) fn timers_stopped(&mut self, at: KTime) {
        self.ticks.until = Some(at);
    }

    /// What was lost since the last call, up to `now`.
    pub(crate) fn losses(&mut self, now: KTime) -> Vec<(LossReason, u64)> {
        let mut losses = Vec::new();
        for (slot, (counter, reason)) in LOSSES.into_iter().enumerate() {
            let total: u64 = self.read(counter).iter().sum();
            if let Some(reported) = self.reported.get_mut(slot) {
                losses.push((reason, total.saturating_sub(*reported)));
                *reported = total.max(*reported);
            }
        }
        let (idle, busy) = (self.read(Counter::TicksIdle), self.read(Counter::TicksBusy));
        let counted = |cpu: u32| {
            let of = |ticks: &[u64]| usize::try_from(cpu).ok().and_then(|cpu| ticks.get(cpu).copied());
            of(&idle).zip(of(&busy)).map(|(idle, busy)| idle + busy)
        };
        let counted: Vec<_> = self.cpus.iter().map(|&cpu| counted(cpu)).collect();
        losses.push((LossReason::SampleTimerMissed, self.ticks.newly_missed(now, &counted)));
        losses.retain(|&(_, count)| count > 0);
        losses
    }

    /// One counter by CPU number; empty if the kernel refuses.
    fn read(&mut self, counter: Counter) -> Vec<u64> {
        match self.map.get(&(counter as u32), 0) {
            Ok(values) => values.iter().copied().collect(),
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    tracing::error!(%error, "the BPF counters cannot be read: losses are not known");
                }
                Vec::new()
            }
        }
    }
}

impl Ticks {
    /// Ticks that are overdue by now and were not when last asked.
    fn newly_missed(&mut self, now: KTime, counted: &[Option<u64>]) -> u64 {
        let until = self.until.map_or(now, |until| until.min(now));
        let span = until.saturating_since(self.since).as_nanos();
        let due = u64::try_from(span / self.period.as_nanos().max(1)).unwrap_or(u64::MAX);
        let mut newly = 0;
        for (missed, counted) in self.missed.iter_mut().zip(counted) {
            let Some(counted) = counted else { continue };
            let overdue = due.saturating_sub(counted.saturating_add(TICK_SLACK));
            newly += overdue.saturating_sub(*missed);
            *missed = overdue.max(*missed);
        }
        newly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_missed_once_it_is_overdue_by_more_than_the_slack_and_only_once() {
        let second = |s| KTime::ZERO.saturating_add(Duration::from_secs(s));
        let mut ticks =
            Ticks { since: second(0), until: None, period: Duration::from_millis(100), missed: vec![0; 2] };
        assert_eq!(ticks.newly_missed(second(1), &[Some(10), Some(8)]), 0, "within the slack");
        assert_eq!(ticks.newly_missed(second(2), &[Some(20), Some(13)]), 5);
        assert_eq!(ticks.newly_missed(second(2), &[Some(20), Some(13)]), 0, "already told");
        assert_eq!(ticks.newly_missed(second(3), &[Some(30), None]), 0, "unreadable is not missed");
    }

    #[test]
    fn no_tick_is_due_of_a_timer_that_was_stopped() {
        let second = |s| KTime::ZERO.saturating_add(Duration::from_secs(s));
        let period = Duration::from_millis(100);
        let mut ticks = Ticks { since: second(0), until: Some(second(2)), period, missed: vec![0] };
        assert_eq!(ticks.newly_missed(second(9), &[Some(20)]), 0);
        assert_eq!(ticks.newly_missed(second(9), &[Some(15)]), 3, "missed before it was stopped");
    }
}
