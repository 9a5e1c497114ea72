//! Blocking of signals for a thread.
#![allow(unsafe_code, reason = "the mask of a thread has no safe binding among the libraries here")]

use std::mem::MaybeUninit;
use std::ptr;

use libc::{SIG_BLOCK, SIG_SETMASK, c_int, pthread_sigmask, sigfillset, sigset_t};

/// Runs `work` while no signal is delivered to the calling thread; signals that come meanwhile are delivered to another
/// thread of the process, or afterwards. SIGKILL and SIGSTOP cannot be kept away (`signal(7)`).
pub(crate) fn without<T>(work: impl FnOnce() -> T) -> T {
    let _restored = change_mask(SIG_BLOCK, &all()).map(Restore);
    work()
}

/// Restores the thread's mask to this one when it is dropped, so also if the work panics.
struct Restore(sigset_t);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = change_mask(SIG_SETMASK, &self.0);
    }
}

fn all() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset(3) writes the whole of the set that it is given, and fails for no valid pointer.
    unsafe {
        sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Changes the signals that the thread blocks; returns those that it blocked before, `None` if the kernel refuses.
fn change_mask(how: c_int, signals: &sigset_t) -> Option<sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid for the call, and the one written to is read only if that has succeeded.
    unsafe {
        let failed = pthread_sigmask(how, ptr::from_ref(signals), before.as_mut_ptr());
        (failed == 0).then(|| before.assume_init())
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::Signal;

    use super::*;

    fn is_blocked(signal: Signal) -> bool {
        let status =
            std::fs::read_to_string("/proc/thread-self/status").expect("a thread reads its own status");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("proc(5) has it");
        let mask = u64::from_str_radix(mask.trim(), 16).expect("it is a hexadecimal number");
        mask & (1 << (signal.as_raw() - 1)) != 0
    }

    #[test]
    fn signals_are_kept_away_for_as_long_as_the_work_takes() {
        assert!(!is_blocked(Signal::USR2));
        let during = without(|| [Signal::USR2, Signal::CHILD, Signal::TERM].map(is_blocked));
        assert_eq!((during, is_blocked(Signal::USR2)), ([true; 3], false));
    }

    #[test]
    fn the_mask_is_as_before_after_a_panic() {
        let outcome = std::panic::catch_unwind(|| without(|| panic!("of the test")));
        assert!(outcome.is_err() && !is_blocked(Signal::USR2));
    }

    #[test]
    fn one_within_another_ends_with_the_outer() {
        let within = without(|| {
            without(|| ());
            is_blocked(Signal::USR2)
        });
        assert!(within && !is_blocked(Signal::USR2));
    }
}
