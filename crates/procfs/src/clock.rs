//! Readings of the kernel's clocks.

use pdata::{BootTime, ClockOffset, KTime, UnixNanos};
use rustix::time::{ClockId, clock_gettime};

/// Most attempts to read the three clocks. Readings are only worth something if nothing came between them, so the
/// attempt that took the least time is kept.
const ATTEMPTS: usize = 5;

/// The present instant, as the kernel stamps events (`CLOCK_MONOTONIC`). Events that are stamped from now on are not
/// before it.
#[must_use]
pub fn now() -> KTime {
    KTime::from_nanos(read(ClockId::Monotonic))
}

/// The present instant, as the kernel stamps the start of processes (`CLOCK_BOOTTIME`).
#[must_use]
pub fn since_boot() -> BootTime {
    BootTime::from_nanos(read(ClockId::Boottime))
}

/// Returns the distance by which the wall clock is ahead of the kernel's clocks now. Measured anew for each batch, it
/// follows any clock step.
#[must_use]
pub fn offset() -> ClockOffset {
    let mut best = (u64::MAX, ClockOffset::default());
    for _ in 0..ATTEMPTS {
        let before = read(ClockId::Monotonic);
        let unix = UnixNanos::from_nanos(read(ClockId::Realtime));
        let boot = BootTime::from_nanos(read(ClockId::Boottime));
        let took = read(ClockId::Monotonic).saturating_sub(before);
        if took < best.0 {
            best = (took, ClockOffset::from_readings(KTime::from_nanos(before + took / 2), boot, unix));
        }
    }
    best.1
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // None of these clocks is ever negative on Linux.
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}
