//! What the kernel side counted: samples that were due, and records it could not store.

use aya::maps::{MapData, PerCpuArray};
use pdata::LossReason;

use crate::abi::{self, Counter};
use crate::roster::CpuTicks;

/// Counters that are losses as they stand.
const LOSSES: [(Counter, LossReason); 6] = [
    (Counter::SampleRingFull, LossReason::SampleRingFull),
    (Counter::SampleNoScratch, LossReason::SampleNoScratch),
    (Counter::TicksMissed, LossReason::SampleTimerMissed),
    (Counter::LifecycleRingFull, LossReason::LifecycleRingFull),
    (Counter::LifecycleNoScratch, LossReason::LifecycleNoScratch),
    (Counter::FileOverBudget, LossReason::FileOverBudget),
];

/// Counters of user frames that got no mapping, and the metric label of each.
const UNMAPPED: [(Counter, &str); 3] = [
    (Counter::FramesUnmapped, "no_mapping"),
    (Counter::FramesNotExecutable, "not_executable"),
    (Counter::FramesOverMappings, "too_many_mappings"),
];

/// Reads the counters, and says by how much they have grown.
pub(crate) struct Counters {
    map: PerCpuArray<MapData, u64>,
    /// CPUs that the map has values of, in its order.
    cpus: Vec<u32>,
    losses: [u64; LOSSES.len()],
    ticks: Ticks,
    frames: [u64; UNMAPPED.len()],
    stacks: [u64; abi::STACK_ENDS.len()],
    asks_lost: u64,
    raw_over_budget: u64,
    unreadable: bool,
}

/// Ticks of all sampling timers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    /// On a busy CPU: each is a sample, or counted as lost.
    pub busy: u64,
    /// On an idle CPU.
    pub idle: u64,
}

impl Counters {
    /// Counters that start at zero, with a value for each CPU that may ever run.
    pub(crate) fn new(map: PerCpuArray<MapData, u64>, cpus: Vec<u32>) -> Self {
        Self {
            map,
            cpus,
            losses: [0; LOSSES.len()],
            ticks: Ticks::default(),
            frames: [0; UNMAPPED.len()],
            stacks: [0; abi::STACK_ENDS.len()],
            asks_lost: 0,
            raw_over_budget: 0,
            unreadable: false,
        }
    }

    /// What was lost since the last call.
    pub(crate) fn losses(&mut self) -> Vec<(LossReason, u64)> {
        let mut losses = Vec::new();
        for (slot, (counter, reason)) in LOSSES.into_iter().enumerate() {
            let total = self.total(counter);
            if let Some(before) = self.losses.get_mut(slot) {
                losses.push((reason, grown(before, total)));
            }
        }
        losses.retain(|&(_, count)| count > 0);
        losses
    }

    /// Ticks since the last call.
    pub(crate) fn ticks(&mut self) -> Ticks {
        let (busy, idle) = (self.total(Counter::TicksBusy), self.total(Counter::TicksIdle));
        Ticks { busy: grown(&mut self.ticks.busy, busy), idle: grown(&mut self.ticks.idle, idle) }
    }

    /// Ticks of each CPU's timers so far.
    pub(crate) fn ticks_by_cpu(&mut self) -> Vec<CpuTicks> {
        let [busy, idle, missed] = [Counter::TicksBusy, Counter::TicksIdle, Counter::TicksMissed]
            .map(|counter| self.values(counter));
        let of = |values: &[u64], at| values.get(at).copied().unwrap_or_default();
        let ticks = |(at, &cpu): (usize, &u32)| {
            let (busy, idle, missed) = (of(&busy, at), of(&idle, at), of(&missed, at));
            CpuTicks { cpu, all: busy + idle, due: busy + missed }
        };
        self.cpus.iter().enumerate().map(ticks).collect()
    }

    /// User frames that got no mapping since the last call, by reason.
    pub(crate) fn frames(&mut self) -> [(&'static str, u64); UNMAPPED.len()] {
        let mut by_reason = UNMAPPED.map(|(_, reason)| (reason, 0));
        for (slot, (counter, _)) in UNMAPPED.into_iter().enumerate() {
            let total = self.total(counter);
            if let (Some(before), Some((_, count))) = (self.frames.get_mut(slot), by_reason.get_mut(slot)) {
                *count = grown(before, total);
            }
        }
        by_reason
    }

    /// User stacks since the last call, by what ended them.
    pub(crate) fn stacks(&mut self) -> [(&'static str, u64); abi::STACK_ENDS.len()] {
        let mut by_end = abi::STACK_ENDS.map(|(end, _)| (end, 0));
        for (slot, (before_slot, (_, count))) in (abi::COUNTER_STACKS..).zip((0..).zip(&mut by_end)) {
            let total = self.slot(slot).iter().sum();
            if let Some(before) = self.stacks.get_mut::<usize>(before_slot) {
                *count = grown(before, total);
            }
        }
        by_end
    }

    /// Pages of unwind rows that could not be asked for since the last call.
    pub(crate) fn asks_lost(&mut self) -> u64 {
        let total = self.total(Counter::RowAskRingFull);
        grown(&mut self.asks_lost, total)
    }

    /// Walks since the last call that wanted rows, and whose samples could not leave with the stack.
    pub(crate) fn raw_over_budget(&mut self) -> u64 {
        let total = self.total(Counter::RawOverBudget);
        grown(&mut self.raw_over_budget, total)
    }

    /// One counter, of all CPUs.
    fn total(&mut self, counter: Counter) -> u64 {
        self.values(counter).iter().sum()
    }

    fn values(&mut self, counter: Counter) -> Box<[u64]> {
        self.slot(counter as u32)
    }

    /// One counter, by CPU; empty if the kernel refuses, which is logged once.
    fn slot(&mut self, slot: u32) -> Box<[u64]> {
        match self.map.get(&slot, 0) {
            Ok(values) => values.iter().copied().collect(),
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    tracing::error!(%error, "The BPF counters cannot be read: losses are not known.");
                }
                Box::default()
            }
        }
    }
}

/// By how much `total` is above `before`, which takes its place. A total that could not be read adds nothing.
pub(crate) fn grown(before: &mut u64, total: u64) -> u64 {
    let by = total.saturating_sub(*before);
    *before += by;
    by
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_once_and_a_total_that_could_not_be_read_is_none() {
        let mut before = 3;
        assert_eq!(grown(&mut before, 10), 7);
        assert_eq!(grown(&mut before, 10), 0);
        assert_eq!(grown(&mut before, 0), 0, "unreadable");
        assert_eq!(grown(&mut before, 11), 1);
    }
}
