//! The wall clock: what it stamps is compared with after a restart.

use rustix::time::{ClockId, clock_gettime};

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0)
}

/// Where keys begin: above those of any earlier run. What has been removed may still lie in the file, and if that has
/// to be salvaged, its key distinguishes it from what has not.
pub(crate) fn first_key() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos)
}
