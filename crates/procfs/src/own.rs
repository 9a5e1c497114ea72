//! CPU time and memory that this process itself has used.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::text;

/// The file of this process's memory, in pages.
const STATM: &str = "/proc/self/statm";

/// CPU time that all threads of this process have used, user and system.
#[must_use]
pub fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Memory of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnMemory {
    /// Bytes of the resident set.
    pub resident: u64,
    /// Bytes of data and stacks, resident or not.
    pub data: u64,
}

impl OwnMemory {
    /// The memory that this process has now; `None` if `/proc` does not show it. The read does not block, since procfs
    /// is memory.
    #[must_use]
    pub fn now() -> Option<Self> {
        let pages = text::pages(&fs::read(STATM).ok()?)?;
        let page = u64::try_from(rustix::param::page_size()).ok()?;
        let bytes = |pages: u32| u64::from(pages).saturating_mul(page);
        Some(Self { resident: bytes(pages.resident), data: bytes(pages.data) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let page = rustix::param::page_size() as u64;
        let memory = OwnMemory::now().unwrap();
        assert!(memory.resident >= page && memory.data >= page, "{memory:?}");
        assert_eq!(memory.resident % page, 0);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_time();
        while cpu_time() < before + Duration::from_millis(2) {
            std::hint::black_box(0);
        }
    }
}
