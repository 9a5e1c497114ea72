//! Passing programs through the kernel's verifier.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use aya::programs::ProgramError;

use crate::error::{StartError, attach};
use crate::signals;

/// The most times that a program is handed to the verifier while signals keep interrupting it, such as SIGSTOP.
const TRIES: u32 = 50;
/// Time between two tries: it lets the signal be delivered, and the sender of more signals end.
const PAUSE: Duration = Duration::from_millis(10);

/// Loads a program of this name with no signal delivered meanwhile, and again while the verifier is interrupted all the
/// same.
///
/// The verifier looks for a signal as it goes and gives up with EAGAIN (`do_check` in the kernel's
/// `kernel/bpf/verifier.c`), which is no fault of the program. On a busy machine a large program takes 100 ms: where
/// children end more often than that, or a timer of the process fires, one try after the other would be interrupted.
pub(crate) fn load(
    program: &'static str,
    load: impl FnMut() -> Result<(), ProgramError>,
) -> Result<(), StartError> {
    signals::without(|| repeat(load, was_interrupted)).map_err(attach(program))
}

fn was_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. } if io_error.kind() == ErrorKind::WouldBlock)
}

fn repeat<E>(mut load: impl FnMut() -> Result<(), E>, was_interrupted: impl Fn(&E) -> bool) -> Result<(), E> {
    for _ in 1..TRIES {
        match load() {
            Err(error) if was_interrupted(&error) => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
    load()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads a program that fails `failures` times before it passes; returns whether it passed, and the number of
    /// tries.
    fn load_after(failures: u32, kind: ErrorKind) -> (bool, u32) {
        let mut tries = 0;
        let load = || {
            tries += 1;
            if tries <= failures { Err(kind) } else { Ok(()) }
        };
        let passed = repeat(load, |kind| *kind == ErrorKind::WouldBlock).is_ok();
        (passed, tries)
    }

    #[test]
    fn a_program_that_signals_interrupt_is_loaded_again() {
        assert_eq!(load_after(3, ErrorKind::WouldBlock), (true, 4));
    }

    #[test]
    fn endless_signals_end_in_the_error() {
        assert_eq!(load_after(u32::MAX, ErrorKind::WouldBlock), (false, TRIES));
    }

    #[test]
    fn a_refused_program_is_not_tried_again() {
        assert_eq!(load_after(1, ErrorKind::PermissionDenied), (false, 1));
    }
}
