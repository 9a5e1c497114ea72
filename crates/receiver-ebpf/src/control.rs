//! The control of a running receiver: the requests that others may make of it.

use std::fmt;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foreignfile::Opened;
use pdata::FileIdentity;

use crate::config::Config;
use crate::environment::Wanted;
use crate::identify::Identifier;
use crate::rest::Waker;

/// A handle by which others change a receiver while it runs: its rate, and when it asks all stages to deliver.
///
/// The handle is made before the receiver, so that stages behind the receiver can hold it. Two parties set the rate and
/// need not know of each other: the configuration sets a base, and the memory limiter a divisor. Changes take effect
/// within about one poll; a change of the rate costs each CPU at most the period that was running, which is counted as
/// missed ticks where the CPU is known to have been busy.
#[derive(Clone)]
pub struct Control(Arc<ControlState>);

struct ControlState {
    samples_per_second: AtomicU32,
    divisor: AtomicU32,
    flush: AtomicBool,
    program_statistics: AtomicBool,
    wanted: Mutex<Wanted>,
    wanted_changed: AtomicBool,
    reader: Mutex<Option<Waker>>,
    identifier: Mutex<Option<Arc<Identifier>>>,
}

impl Control {
    /// A handle for the receiver that will be started from `config`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(ControlState {
            samples_per_second: AtomicU32::new(within_bounds(config.samples_per_second)),
            divisor: AtomicU32::new(1),
            flush: AtomicBool::new(false),
            program_statistics: AtomicBool::new(false),
            wanted: Mutex::default(),
            wanted_changed: AtomicBool::new(false),
            reader: Mutex::new(None),
            identifier: Mutex::new(None),
        }))
    }

    /// Sets the base of the rate: samples per second of each CPU, moved into
    /// [`Config::SAMPLES_PER_SECOND_BOUNDS`] if outside.
    pub fn set_samples_per_second(&self, base: u32) {
        let base = within_bounds(base);
        if self.0.samples_per_second.swap(base, Ordering::Relaxed) != base {
            self.wake();
        }
    }

    /// Lowers the rate to the base divided by `divisor`; 1, and 0, are no reduction.
    pub fn set_divisor(&self, divisor: u32) {
        let divisor = divisor.max(1);
        if self.0.divisor.swap(divisor, Ordering::Relaxed) != divisor {
            self.wake();
        }
    }

    /// The rate that is asked for, samples per second of each CPU: base / divisor, at least 1.
    #[must_use]
    pub fn samples_per_second(&self) -> u32 {
        let base = self.0.samples_per_second.load(Ordering::Relaxed);
        (base / self.0.divisor.load(Ordering::Relaxed).max(1)).max(1)
    }

    /// Asks for a batch, soon, that asks all stages behind the receiver to deliver the events that they hold. The
    /// batch's watermark is later than this call.
    pub fn flush(&self) {
        self.0.flush.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Sets whether the kernel measures how often and how long each BPF program runs: some 20 ns for each run of any
    /// BPF program of the machine. Off at first.
    pub fn set_program_statistics(&self, on: bool) {
        if self.0.program_statistics.swap(on, Ordering::Relaxed) != on {
            self.wake();
        }
    }

    /// Sets the facts of a program's arguments and environment that each exec passes on from now on.
    pub fn set_wanted(&self, wanted: Wanted) {
        let before = std::mem::replace(&mut *lock(&self.0.wanted), wanted.clone());
        if before != wanted {
            self.0.wanted_changed.store(true, Ordering::Release);
            self.wake();
        }
    }

    /// True if `opened` is the file that a sample was in: see [`Identifier::is`]. `None` also before the receiver has
    /// started.
    #[must_use]
    pub fn is_file(&self, opened: &File, identity: FileIdentity) -> Option<bool> {
        let identifier = lock(&self.0.identifier).clone()?;
        identifier.is(opened, identity)
    }

    /// The same for a file that a reader has opened, which is asked there if the file is not at hand.
    #[must_use]
    pub fn is_opened(&self, opened: &mut Opened<'_>, identity: FileIdentity) -> Option<bool> {
        let identifier = lock(&self.0.identifier).clone()?;
        identifier.is_opened(opened, identity)
    }

    /// CPU time that a sample stands for at the rate that is asked for.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_secs(1) / self.samples_per_second()
    }

    /// Takes the request to deliver: true once for any number of calls of [`flush`](Self::flush).
    pub(crate) fn take_flush(&self) -> bool {
        self.0.flush.swap(false, Ordering::Relaxed)
    }

    /// Returns the facts that the kernel side is to pass on, if they have changed since they were last taken.
    pub(crate) fn take_wanted(&self) -> Option<Wanted> {
        let changed = self.0.wanted_changed.swap(false, Ordering::Acquire);
        changed.then(|| lock(&self.0.wanted).clone())
    }

    pub(crate) fn program_statistics(&self) -> bool {
        self.0.program_statistics.load(Ordering::Relaxed)
    }

    /// Sets the waker of the reader's thread. The reader's first poll applies the requests that came before.
    pub(crate) fn applied_by(&self, reader: Waker) {
        *lock(&self.0.reader) = Some(reader);
    }

    /// Sets the identifier of files.
    pub(crate) fn identifies_by(&self, identifier: Arc<Identifier>) {
        *lock(&self.0.identifier) = Some(identifier);
    }

    /// Wakes the reader, if there is one yet.
    pub(crate) fn wake(&self) {
        if let Some(reader) = &*lock(&self.0.reader) {
            reader.wake();
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("samples_per_second", &self.samples_per_second())
            .field("program_statistics", &self.program_statistics())
            .finish_non_exhaustive()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // No panic happens while it is locked: single values are set and read.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn within_bounds(samples_per_second: u32) -> u32 {
    let (least, most) = Config::SAMPLES_PER_SECOND_BOUNDS.into_inner();
    samples_per_second.clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::{End, rest};

    fn control(samples_per_second: u32) -> Control {
        Control::new(&Config { samples_per_second, ..Config::default() })
    }

    #[test]
    fn base_and_divisor_are_independent_and_the_rate_is_never_zero() {
        let control = control(100);
        control.set_divisor(8);
        assert_eq!(control.samples_per_second(), 12);
        control.set_samples_per_second(40);
        assert_eq!(control.samples_per_second(), 5, "the divisor has stayed");
        control.set_divisor(1000);
        assert_eq!((control.samples_per_second(), control.period()), (1, Duration::from_secs(1)));
        control.set_divisor(0);
        control.set_samples_per_second(1_000_000);
        assert_eq!(control.samples_per_second(), 10_000);
    }

    #[test]
    fn a_flush_is_told_once_however_often_it_is_asked_for() {
        let control = control(1);
        assert!(!control.take_flush());
        control.flush();
        control.clone().flush();
        assert!(control.take_flush());
        assert!(!control.take_flush());
    }

    #[test]
    fn a_request_wakes_the_reader_even_before_it_rests() {
        let (control, reader) = (control(1), Waker::new().unwrap());
        let silent = Waker::new().unwrap();
        control.applied_by(reader.clone());
        let requests: [fn(&Control); 5] = [
            Control::flush,
            |control| control.set_divisor(2),
            |control| control.set_samples_per_second(3),
            |control| control.set_program_statistics(true),
            |control| control.set_wanted(Wanted { argument_bytes: 1, ..Wanted::default() }),
        ];
        for request in requests {
            request(&control);
            let longest = Duration::from_secs(60);
            assert_eq!(rest(&reader, &silent, longest, longest), End::Request);
        }
    }
}
