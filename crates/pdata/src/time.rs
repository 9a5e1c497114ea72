//! Instants of the three clocks, which never mix, and the one conversion between them.

use std::time::Duration;

/// Instant of `CLOCK_MONOTONIC`, nanoseconds. Source: `bpf_ktime_get_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KTime(u64);

impl KTime {
    /// The instant before every other.
    pub const ZERO: Self = Self(0);
    /// The instant after every other.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` after the clock's start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant moved later by `span`, at most to [`KTime::MAX`].
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// This instant moved earlier by `span`, at most to [`KTime::ZERO`].
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// Time from `earlier` to this instant; zero when `earlier` is in fact later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Instant of `CLOCK_BOOTTIME`, nanoseconds. Source: `task_struct::start_boottime`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// The instant `nanos` after boot.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot, suspended time included.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// Instant of `CLOCK_REALTIME`, nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(u64);

impl UnixNanos {
    /// The instant `nanos` after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// The distance by which the wall clock is ahead of the kernel's clocks, as measured at one instant.
///
/// A clock step changes the next measurement, never an old one: a stage that converts several instants of one unit of
/// output (a profile) uses one offset for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockOffset {
    unix_minus_monotonic: i64,
    unix_minus_boot: i64,
}

impl ClockOffset {
    /// The offset computed from readings of the three clocks at the same instant.
    #[must_use]
    pub fn from_readings(monotonic: KTime, boot: BootTime, unix: UnixNanos) -> Self {
        Self {
            unix_minus_monotonic: unix.0.wrapping_sub(monotonic.0).cast_signed(),
            unix_minus_boot: unix.0.wrapping_sub(boot.0).cast_signed(),
        }
    }

    /// Wall-clock time of a kernel instant.
    #[must_use]
    pub fn unix(self, at: KTime) -> UnixNanos {
        UnixNanos(at.0.saturating_add_signed(self.unix_minus_monotonic))
    }

    /// Wall-clock time of a boot-clock instant.
    #[must_use]
    pub fn unix_from_boot(self, at: BootTime) -> UnixNanos {
        UnixNanos(at.0.saturating_add_signed(self.unix_minus_boot))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_reproduces_the_reading_it_was_made_from() {
        let (mono, boot) = (KTime::from_nanos(5_000), BootTime::from_nanos(7_000));
        let unix = UnixNanos::from_nanos(1_700_000_000_000_000_000);
        let offset = ClockOffset::from_readings(mono, boot, unix);
        assert_eq!(offset.unix(mono), unix);
        assert_eq!(offset.unix_from_boot(boot), unix);
        assert_eq!(offset.unix(KTime::from_nanos(6_000)).as_nanos(), unix.as_nanos() + 1_000);
    }

    #[test]
    fn a_wall_clock_behind_the_kernel_clock_saturates_at_the_epoch() {
        let offset = ClockOffset::from_readings(
            KTime::from_nanos(9),
            BootTime::from_nanos(9),
            UnixNanos::from_nanos(4),
        );
        assert_eq!(offset.unix(KTime::from_nanos(2)), UnixNanos::from_nanos(0));
    }
}
