//! The memory that the receiver may take: less if a control group leaves little.
//!
//! Rings, rows and batches in flight are charged to the agent's control group at once or within moments, long before
//! anybody could look at how full the group is.

use configtypes::ByteSize;
use procfs::MemoryGroup;

use crate::config::UnwindConfig;

/// The least memory that a control group has to allow: reading the kernel's types and loading the programs takes 50 MiB
/// for a moment.
pub(crate) const LEAST_MEMORY: u64 = 64 << 20;

/// Bytes of the sample ring for each CPU. A sample of usual depth takes about 0.6 KiB: the ring holds nearly two
/// seconds of a busy CPU at 997 Hz.
const SAMPLE_RING_PER_CPU: u32 = 1 << 20;
const SAMPLE_RING_BOUNDS: (u32, u32) = (4 << 20, 128 << 20);
/// Bytes of the lifecycle ring. A short process leaves about 0.7 KiB of lifecycle records: the ring holds five thousand
/// such processes.
const LIFECYCLE_RING: u32 = 4 << 20;
/// Bytes of the smallest ring.
const LEAST_RING: u32 = 1 << 20;
/// Parts of a control group's memory, of which each ring takes one at most.
const RING_PARTS: u64 = 64;
/// Parts of a control group's memory, of which unwind rows take one at most.
const UNWIND_PARTS: u64 = 8;

/// Batches on their way from the reader's thread: enough to ride out a hiccup, few enough that a slow pipeline is felt
/// at the rings, where loss is counted.
const BATCHES_IN_FLIGHT: usize = 8;
/// Memory of a control group for which one batch in flight is allowed. A batch holds at most the records of the rings,
/// and as much again that has waited with a sample, and takes several times their bytes.
const MEMORY_PER_BATCH: u64 = 64 << 20;

/// The memory that there is for the receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The least limit of a control group that this process is in, bytes; `None` if there is no limit.
    pub group: Option<u64>,
}

impl Room {
    /// The room of this process.
    pub(crate) fn find() -> Self {
        Self { group: MemoryGroup::least_limit() }
    }

    /// Bytes of the ring of samples for `cpus` CPUs.
    pub(crate) fn sample_ring(self, cpus: usize) -> u32 {
        let (least, most) = SAMPLE_RING_BOUNDS;
        let wanted = u32::try_from(cpus).unwrap_or(u32::MAX).saturating_mul(SAMPLE_RING_PER_CPU);
        self.ring(wanted.clamp(least, most).checked_next_power_of_two().unwrap_or(most))
    }

    /// Bytes of the ring of process events.
    pub(crate) fn lifecycle_ring(self) -> u32 {
        self.ring(LIFECYCLE_RING)
    }

    /// Bytes of all rings for `cpus` CPUs.
    pub(crate) fn rings(self, cpus: usize) -> u32 {
        self.sample_ring(cpus).saturating_add(self.lifecycle_ring())
    }

    /// Bytes of events that may wait behind a sample whose stack is followed, for `cpus` CPUs: records of the rings
    /// take several times their bytes as events.
    pub(crate) fn held(self, cpus: usize) -> usize {
        let times = if self.group.is_some() { 1 } else { 4 };
        times * self.rings(cpus) as usize
    }

    /// The configuration of unwinding, with less memory if there is not as much as it allows.
    pub(crate) fn unwind(self, config: &UnwindConfig) -> UnwindConfig {
        let part = ByteSize::from_bytes(self.group.map_or(u64::MAX, |group| group / UNWIND_PARTS));
        let room = part.max(*UnwindConfig::MAX_MEMORY_BOUNDS.start());
        UnwindConfig { max_memory: config.max_memory.min(room), ..config.clone() }
    }

    /// Batches that may be on their way from the reader's thread.
    pub(crate) fn batches_in_flight(self) -> usize {
        let room = usize::try_from(self.group.unwrap_or(u64::MAX) / MEMORY_PER_BATCH).unwrap_or(usize::MAX);
        room.clamp(1, BATCHES_IN_FLIGHT)
    }

    /// Bytes of a ring: a power of two, as the kernel wants it.
    fn ring(self, usual: u32) -> u32 {
        let Some(group) = self.group else { return usual };
        let part = u32::try_from(group / RING_PARTS).unwrap_or(u32::MAX).max(LEAST_RING);
        usual.min(1 << part.ilog2())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FREE: Room = Room { group: None };

    #[test]
    fn the_sample_ring_is_a_power_of_two_within_bounds() {
        for (cpus, megabytes) in [(1, 4), (4, 4), (5, 8), (96, 128), (4096, 128)] {
            assert_eq!(FREE.sample_ring(cpus), megabytes << 20, "{cpus} CPUs");
        }
    }

    #[test]
    fn a_small_group_has_small_rings_few_batches_and_few_rows() {
        let config = UnwindConfig::default();
        for (group, ring, batches, rows) in [(48, 1, 1, 6), (64, 1, 1, 8), (128, 2, 2, 16), (512, 4, 8, 64)] {
            let room = Room { group: Some(group << 20) };
            assert_eq!((room.sample_ring(2) >> 20, room.lifecycle_ring() >> 20), (ring, ring), "{group} MiB");
            assert_eq!(room.batches_in_flight(), batches, "{group} MiB");
            assert_eq!(room.unwind(&config).max_memory.bytes() >> 20, rows, "{group} MiB");
        }
        assert_eq!((FREE.batches_in_flight(), FREE.unwind(&config)), (8, config));
    }

    proptest! {
        /// The kernel takes the rings of any room, and they are a small part of it.
        #[test]
        fn rings_are_what_the_kernel_takes(group: u64, cpus in 1_usize..5000) {
            let room = Room { group: Some(group) };
            for ring in [room.sample_ring(cpus), room.lifecycle_ring()] {
                prop_assert!(ring.is_power_of_two() && ring >= LEAST_RING);
                prop_assert!(u64::from(ring) <= (group / RING_PARTS).max(LEAST_RING.into()));
            }
            prop_assert!((1..=BATCHES_IN_FLIGHT).contains(&room.batches_in_flight()));
        }
    }
}
