//! Settings of the kernel.

use std::fs;
use std::path::Path;
use std::str::FromStr;

/// Samples a second and CPU beyond which the kernel throttles sampling timers.
pub(super) fn max_sample_rate() -> Option<u64> {
    setting("kernel/perf_event_max_sample_rate")
}

/// A number below `/proc/sys`.
pub(super) fn setting<T: FromStr>(name: &str) -> Option<T> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}
