//! Waiting for the effects of other processes.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Longest time that a process may take for anything. It is long enough for any machine, since only a failing test uses
/// it up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const AGAIN: Duration = Duration::from_millis(20);

/// Calls `look` again and again until its result is `wanted`, and returns that.
///
/// # Panics
/// If that takes longer than [`PATIENCE`]; the message has `what` and the last result.
pub fn until<T: Debug>(what: &str, look: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    until_within(PATIENCE, what, look, wanted)
}

/// Calls `look` as [`until`] does, with a bound of the test's own: for work that takes long on a busy machine, or that
/// others of the machine delay.
///
/// # Panics
/// If that takes longer than `longest`; the message has `what` and the last result.
pub fn until_within<T: Debug>(
    longest: Duration,
    what: &str,
    mut look: impl FnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + longest;
    loop {
        let seen = look();
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {longest:?} for {what}: {seen:?}");
        thread::sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_returned_and_nothing_before_it() {
        let mut count = 0;
        let look = || {
            count += 1;
            count
        };
        assert_eq!(until("a third look", look, |count| *count == 3), 3);
        assert_eq!(count, 3);
    }
}
