//! The clock of stored requests, which does not jump when somebody sets the machine's.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::fault::step;

/// Name of the file that holds the clock of this boot.
const CLOCK_FILE: &str = "clock";
/// File that identifies this boot of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The most bytes that are read of the clock's file, which is a boot ID and a number.
const MAX_CLOCK_BYTES: u64 = 128;
/// Clocks that show less have not been set yet (2025-01-01): boards without a battery begin in 1970.
const FIRST_PLAUSIBLE: u64 = 1_735_689_600;

/// Seconds since 1970 by the time since boot, and by the wall clock of the moment when the storage was first used in
/// this boot.
///
/// Within a boot, ages are thus right whatever is done to the wall clock. The age of a request that an earlier boot has
/// stored is by the wall clocks of both boots, unless one of them cannot have been set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Start of the machine, in seconds since 1970, as far as it was known.
    booted: u64,
}

impl Clock {
    /// The clock of this boot, from the directory if its file is there. A clock that cannot be kept there is this
    /// process's alone.
    pub(crate) fn open(directory: &Path) -> Self {
        let boot_id = fs::read_to_string(BOOT_ID).unwrap_or_default();
        let path = directory.join(CLOCK_FILE);
        if let Some(clock) = read(&path).and_then(|text| Self::parse(&text, boot_id.trim())) {
            return clock;
        }
        let clock = Self { booted: seconds(ClockId::Realtime).saturating_sub(since_boot()) };
        if let Err(error) = clock.write(&path, boot_id.trim()) {
            tracing::debug!(%error, "The clock of stored requests is not kept for the next start.");
        }
        clock
    }

    /// The time now, in seconds since 1970.
    pub(crate) fn now(self) -> u64 {
        self.booted.saturating_add(since_boot())
    }

    /// Age of a request that was made at `created`. A request whose time cannot be known counts as new.
    pub(crate) fn age(self, created: u64) -> Duration {
        let now = self.now();
        let is_unknown = created < FIRST_PLAUSIBLE && now >= FIRST_PLAUSIBLE;
        Duration::from_secs(if is_unknown { 0 } else { now.saturating_sub(created) })
    }

    /// The clock in a file's text, if it is of this boot.
    fn parse(text: &str, boot_id: &str) -> Option<Self> {
        // A line without an end is one that a kill has cut: some digits of the number may be missing.
        let (boot, booted) = text.strip_suffix('\n')?.split_once(' ')?;
        (!boot_id.is_empty() && boot == boot_id).then_some(())?;
        Some(Self { booted: booted.parse().ok()? })
    }

    fn write(self, path: &Path, boot_id: &str) -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        step()?;
        let mut file = openfile::open(options.write(true).create(true).truncate(false).mode(0o600), path)?;
        step()?;
        file.set_len(0)?;
        let line = format!("{boot_id} {}\n", self.booted);
        step().inspect_err(|_killed| {
            // All but the end, as a kill in the middle may leave it.
            #[cfg(test)]
            let _torn = file.write_all(line.as_bytes().get(..line.len() - 3).unwrap_or_default());
        })?;
        file.write_all(line.as_bytes())
    }
}

/// The first key of this run, above the keys of any earlier one. A removed record may still lie in the file, and if the
/// file has to be salvaged, its key distinguishes it from those that are wanted.
pub(crate) fn first_key() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos)
}

fn read(path: &Path) -> Option<String> {
    let file = openfile::open(fs::OpenOptions::new().read(true), path).ok()?;
    let mut text = String::new();
    file.take(MAX_CLOCK_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Seconds that the machine has been up, suspended or not.
fn since_boot() -> u64 {
    seconds(ClockId::Boottime)
}

fn seconds(clock: ClockId) -> u64 {
    u64::try_from(clock_gettime(clock).tv_sec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Seconds for which a machine may stand still between two readings of a clock.
    const SLOW: u64 = 60;

    #[test]
    fn within_a_boot_the_wall_clock_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let wall = seconds(ClockId::Realtime);
        let first = Clock::open(dir.path());
        assert!(first.now().abs_diff(wall) <= SLOW);
        // The clock's file is as if the wall clock had shown 1970 then, and had been set since.
        let boot_id = fs::read_to_string(BOOT_ID).unwrap();
        fs::write(dir.path().join(CLOCK_FILE), format!("{} 7\n", boot_id.trim())).unwrap();
        let second = Clock::open(dir.path());
        assert_eq!(second, Clock { booted: 7 });
        let made = second.now();
        assert!(second.age(made).as_secs() <= SLOW, "by the same clock");
        assert!((5..=5 + SLOW).contains(&second.age(made - 5).as_secs()));
        // In another boot the clock begins anew.
        fs::write(dir.path().join(CLOCK_FILE), "0-1-2 7\n").unwrap();
        assert!(Clock::open(dir.path()).now().abs_diff(wall) <= SLOW);
    }

    #[test]
    fn what_was_stored_under_a_clock_that_was_not_set_is_not_old() {
        let set = Clock { booted: FIRST_PLAUSIBLE };
        assert_eq!(set.age(100), Duration::ZERO);
        assert_eq!(set.age(u64::MAX), Duration::ZERO, "made in the future");
        let before = since_boot();
        let age = set.age(FIRST_PLAUSIBLE).as_secs();
        assert!((before..=since_boot()).contains(&age), "{age}");
        let unset = Clock { booted: 0 };
        assert_eq!(unset.age(FIRST_PLAUSIBLE), Duration::ZERO, "an earlier boot had the time");
    }

    #[test]
    fn a_directory_that_cannot_be_written_has_a_clock_all_the_same() {
        let clock = Clock::open(Path::new("/does/not/exist"));
        assert!(clock.now().abs_diff(seconds(ClockId::Realtime)) <= SLOW);
    }

    proptest! {
        /// Any text is a clock of this boot or none.
        #[test]
        fn any_file_is_read_or_passed_over(text in "(a |b )?[0-9 a\n]{0,30}|\\PC{0,20}") {
            if let Some(_clock) = Clock::parse(&text, "a") {
                prop_assert!(text.trim().starts_with("a "));
            }
        }
    }
}
