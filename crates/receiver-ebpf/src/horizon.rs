//! The horizon: an instant before which no record is still on its way, which makes the watermark exact.
//!
//! Every producer, a BPF program, stamps and publishes its record inside one RCU read-side section. Setting an element
//! of a map of maps returns after an RCU grace period, that is, when every section that had begun before the call is
//! over. So:
//!
//! 1. read the clock: `t`;
//! 2. set the element;
//! 3. every record stamped before `t` is in its ring, complete, and a reader that drains each ring until it
//!    is empty, or until it meets a record still being written (which then began after `t`), has it.
//!
//! See `docs/decisions/watermark.md`. Sources: kernel `kernel/bpf/syscall.c` (`maybe_wait_bpf_programs`),
//! `kernel/trace/bpf_trace.c` (`__bpf_trace_run`), `kernel/events/core.c` (`bpf_overflow_handler`).

use std::time::Duration;

use aya::maps::{Array, ArrayOfMaps, MapData, MapError};
use pdata::KTime;
use procfs::clock;

/// The most by which the kernel's fast clock, which stamps records, and the one that user space reads may differ, with
/// a margin: 448 ns was the most seen in 24 million events.
const CLOCK_SKEW: Duration = Duration::from_millis(1);
/// The time to wait if the kernel refuses the barrier; 72 us was the most that a record was seen to take.
const UNGUARDED_DELAY: Duration = Duration::from_millis(50);

/// Waits for the programs that are running.
pub(crate) struct Barrier {
    map: ArrayOfMaps<MapData, Array<MapData, u32>>,
    element: Array<MapData, u32>,
}

impl Barrier {
    pub(crate) fn new(map: ArrayOfMaps<MapData, Array<MapData, u32>>, element: Array<MapData, u32>) -> Self {
        Self { map, element }
    }

    /// Returns when every program that was running has ended.
    fn wait(&mut self) -> Result<(), MapError> {
        self.map.set(0, &self.element, 0)
    }
}

/// The way to find out which records are complete.
pub(crate) struct Horizon {
    barrier: Barrier,
    refused: bool,
}

impl Horizon {
    pub(crate) fn new(barrier: Barrier) -> Self {
        Self { barrier, refused: false }
    }

    /// An instant for which every record stamped before it can now be read. Blocks for 1 to 50 ms.
    pub(crate) fn pass(&mut self) -> KTime {
        let now = clock::now();
        if let Err(error) = self.barrier.wait() {
            if !std::mem::replace(&mut self.refused, true) {
                tracing::error!(
                    %error,
                    delay = ?UNGUARDED_DELAY,
                    "The kernel does not wait for BPF programs: the watermark relies on a delay, and later events are counted as late."
                );
            }
            std::thread::sleep(UNGUARDED_DELAY);
        }
        now.saturating_sub(CLOCK_SKEW)
    }
}
