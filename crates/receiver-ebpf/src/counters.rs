//! The counters of the kernel side: samples that were due, and records that it could not store.

use pdata::LossReason;

use crate::abi::{self, Counter, CpuCounters};
use crate::memory::SharedMemory;
use crate::roster::CpuTicks;

/// Counters whose growth is a number of losses.
const LOSSES: [(Counter, LossReason); 7] = [
    (Counter::SampleRingFull, LossReason::SampleRingFull),
    (Counter::SampleNoScratch, LossReason::SampleNoScratch),
    (Counter::TicksMissed, LossReason::SampleTimerMissed),
    (Counter::LifecycleRingFull, LossReason::LifecycleRingFull),
    (Counter::LifecycleNoScratch, LossReason::LifecycleNoScratch),
    (Counter::FileOverBudget, LossReason::FileOverBudget),
    (Counter::CgroupOverBudget, LossReason::CgroupOverBudget),
];

/// Counters of user frames that got no mapping, and the metric label of each.
pub(crate) const UNMAPPED: [(Counter, &str); 3] = [
    (Counter::FramesUnmapped, "no_mapping"),
    (Counter::FramesNotExecutable, "not_executable"),
    (Counter::FramesOverMappings, "too_many_mappings"),
];

/// Reads the counters, and reports by how much they have grown, without a system call.
pub(crate) struct Counters {
    /// A `struct cpu_counters` for each number that a CPU may have.
    memory: SharedMemory,
    /// Numbers of the CPUs that may ever run.
    cpus: Vec<u32>,
    losses: [u64; LOSSES.len()],
    ticks: Ticks,
    frames: [u64; UNMAPPED.len()],
    stacks: [u64; abi::STACK_ENDS.len()],
    asks_lost: u64,
    raw_over_budget: u64,
}

/// Ticks of all sampling timers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    /// Ticks on a busy CPU: each is a sample, or counted as lost.
    pub busy: u64,
    /// Ticks on an idle CPU.
    pub idle: u64,
    /// Ticks on a CPU that ran a process outside the agent's pid namespace.
    pub outside: u64,
}

impl Counters {
    /// Counters that start at zero, of the CPUs that may ever run.
    pub(crate) fn new(memory: SharedMemory, cpus: Vec<u32>) -> Self {
        Self {
            memory,
            cpus,
            losses: [0; LOSSES.len()],
            ticks: Ticks::default(),
            frames: [0; UNMAPPED.len()],
            stacks: [0; abi::STACK_ENDS.len()],
            asks_lost: 0,
            raw_over_budget: 0,
        }
    }

    /// Bytes of memory for the counters of as many CPUs.
    pub(crate) fn bytes(cpus: u32) -> usize {
        word(cpus, 0) * size_of::<u64>()
    }

    /// Losses since the last call.
    pub(crate) fn losses(&mut self) -> impl Iterator<Item = (LossReason, u64)> + use<> {
        let totals = LOSSES.map(|(counter, _)| self.total(counter as usize));
        let counts = grown_by(&mut self.losses, totals);
        LOSSES
            .into_iter()
            .zip(counts)
            .map(|((_, reason), count)| (reason, count))
            .filter(|&(_, count)| count > 0)
    }

    /// Ticks since the last call.
    pub(crate) fn ticks(&mut self) -> Ticks {
        let [busy, idle, outside] = [Counter::TicksBusy, Counter::TicksIdle, Counter::TicksOutside]
            .map(|counter| self.total(counter as usize));
        Ticks {
            busy: grown(&mut self.ticks.busy, busy),
            idle: grown(&mut self.ticks.idle, idle),
            outside: grown(&mut self.ticks.outside, outside),
        }
    }

    /// Ticks of each CPU's timers so far.
    pub(crate) fn ticks_by_cpu(&self) -> Vec<CpuTicks> {
        let ticks = |&cpu: &u32| {
            let count = |counter: Counter| self.memory.word_64(word(cpu, counter as usize));
            let busy = count(Counter::TicksBusy);
            let others = count(Counter::TicksIdle) + count(Counter::TicksOutside);
            CpuTicks { cpu, all: busy + others, due: busy + count(Counter::TicksMissed) }
        };
        self.cpus.iter().map(ticks).collect()
    }

    /// User frames that got no mapping since the last call, in the order of [`UNMAPPED`].
    pub(crate) fn frames(&mut self) -> [u64; UNMAPPED.len()] {
        let totals = UNMAPPED.map(|(counter, _)| self.total(counter as usize));
        grown_by(&mut self.frames, totals)
    }

    /// User stacks since the last call by their ends, in the order of [`abi::STACK_ENDS`].
    pub(crate) fn stacks(&mut self) -> [u64; abi::STACK_ENDS.len()] {
        let totals = std::array::from_fn(|end| self.total(abi::COUNTER_STACKS + end));
        grown_by(&mut self.stacks, totals)
    }

    /// Requests for pages of unwind rows that were lost since the last call.
    pub(crate) fn asks_lost(&mut self) -> u64 {
        let total = self.total(Counter::RowAskRingFull as usize);
        grown(&mut self.asks_lost, total)
    }

    /// Walks since the last call that wanted rows, and whose samples could not leave with the stack.
    pub(crate) fn raw_over_budget(&mut self) -> u64 {
        let total = self.total(Counter::RawOverBudget as usize);
        grown(&mut self.raw_over_budget, total)
    }

    /// The sum of one counter over all CPUs.
    fn total(&self, counter: usize) -> u64 {
        self.cpus.iter().map(|&cpu| self.memory.word_64(word(cpu, counter))).sum()
    }
}

/// Words of 64 bits from the counters of one CPU to those of the next.
const CPU_WORDS: usize = size_of::<CpuCounters>() / size_of::<u64>();

/// The index of a CPU's counter among the words of all.
fn word(cpu: u32, counter: usize) -> usize {
    usize::try_from(cpu).unwrap_or(usize::MAX).saturating_mul(CPU_WORDS).saturating_add(counter)
}

/// Returns by how much each of `totals` is above its value in `before`, and stores it there.
fn grown_by<const N: usize>(before: &mut [u64; N], mut totals: [u64; N]) -> [u64; N] {
    before.iter_mut().zip(&mut totals).for_each(|(before, total)| *total = grown(before, *total));
    totals
}

/// Returns by how much `total` is above `before`, and stores it there. A total that is below adds nothing.
pub(crate) fn grown(before: &mut u64, total: u64) -> u64 {
    let by = total.saturating_sub(*before);
    *before += by;
    by
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn each_counter_is_added_up_over_the_cpus_that_there_may_be() {
        let bytes = Counters::bytes(4);
        let file = File::from(memfd_create("counters", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(bytes as u64).unwrap();
        let [memory, kernel] = [(); 2].map(|()| SharedMemory::map(&file, bytes).unwrap());
        let set = |cpu, counter: usize, count| kernel.publish(word(cpu, counter), count);
        // CPU 2 is none that may ever run.
        let mut counters = Counters::new(memory, vec![0, 1, 3]);
        assert_eq!(counters.losses().count(), 0);
        for (cpu, busy) in [(0, 5), (1, 7), (3, 11)] {
            set(cpu, Counter::TicksBusy as usize, busy);
            set(cpu, Counter::TicksMissed as usize, 1);
            set(cpu, abi::COUNTER_STACKS + abi::STACK_ENDS.len() - 1, 2);
        }
        set(3, Counter::TicksIdle as usize, 100);
        set(1, Counter::TicksOutside as usize, 9);
        let of_cpus = [(0, 5, 6), (1, 16, 8), (3, 111, 12)].map(|(cpu, all, due)| CpuTicks { cpu, all, due });
        assert_eq!(counters.ticks_by_cpu(), of_cpus);
        let Ticks { busy, idle, outside } = counters.ticks();
        assert_eq!((busy, idle, outside), (23, 100, 9));
        assert_eq!(counters.losses().collect::<Vec<_>>(), [(LossReason::SampleTimerMissed, 3)]);
        assert_eq!(counters.losses().count(), 0, "reported once");
        let stacks = counters.stacks();
        assert_eq!((stacks.last(), stacks.iter().sum()), (Some(&6), 6_u64));
    }

    #[test]
    fn growth_is_reported_once_and_a_total_never_goes_back() {
        let mut before = 3;
        assert_eq!(grown(&mut before, 10), 7);
        assert_eq!(grown(&mut before, 10), 0);
        assert_eq!(grown(&mut before, 0), 0, "below");
        assert_eq!(grown(&mut before, 11), 1);
    }
}
