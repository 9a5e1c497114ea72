//! The thread that looks at the memory in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use crate::allocator;
use crate::error::StartError;
use crate::limiter::{Action, Limiter};
use crate::limits::Limits;
use crate::machine::Machine;
use crate::metrics::Memory;
use crate::settings::{LimiterSettings, Throttle};

/// A watch that is kept; dropping it ends it and takes back what it asked of the sampler.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    dropping: Arc<AtomicBool>,
    /// Dropping it ends the thread.
    _kept: Arc<SyncSender<()>>,
}

impl Watch {
    /// Looks once, at once, and then every so often on a thread of its own.
    pub(crate) fn start(
        settings: LimiterSettings,
        machine: Machine,
        limits: Limits,
        every: Duration,
    ) -> Result<Self, StartError> {
        let (kept, ended) = mpsc::sync_channel(0);
        let dropping = Arc::new(AtomicBool::new(false));
        let mut look = LimiterLoop {
            memory: Memory::of(&settings.id, limits),
            limiter: Limiter::new(limits),
            throttle: settings.throttle,
            dropping: Arc::clone(&dropping),
            last: Action { divisor: 1, dropping: false, give_back: false },
            limits,
        };
        look.at(machine.usage().map_err(StartError::Usage)?);
        let watch = move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                match machine.usage() {
                    Ok(usage) => look.at(usage),
                    Err(error) => tracing::warn!(%error, "The memory in use cannot be read."),
                }
            }
            look.throttle.set_divisor(1);
        };
        thread::Builder::new().name("memory-limiter".to_owned()).spawn(watch).map_err(StartError::Thread)?;
        Ok(Self { dropping, _kept: Arc::new(kept) })
    }

    /// Whether samples are to be dropped now.
    pub(crate) fn dropping(&self) -> bool {
        // Relaxed: the flag is all there is to see, and a batch more or less does not matter.
        self.dropping.load(Ordering::Relaxed)
    }

    /// A watch that nobody keeps, as a test wants it.
    #[cfg(test)]
    pub(crate) fn fixed(dropping: bool) -> Self {
        Self { dropping: Arc::new(AtomicBool::new(dropping)), _kept: Arc::new(mpsc::sync_channel(0).0) }
    }
}

/// Checks the memory in use and applies what the limiter decides.
struct LimiterLoop {
    limiter: Limiter,
    throttle: Arc<dyn Throttle>,
    dropping: Arc<AtomicBool>,
    last: Action,
    memory: Memory,
    limits: Limits,
}

impl LimiterLoop {
    fn at(&mut self, usage: u64) {
        let action = self.limiter.check(usage);
        self.dropping.store(action.dropping, Ordering::Relaxed);
        // Each time, not only when it changes: a receiver that has come since does not know the divisor.
        self.throttle.set_divisor(action.divisor);
        self.memory.show(usage, action.divisor);
        self.log(usage, action);
        if action.give_back {
            allocator::release_free_memory();
        }
        self.last = action;
    }

    fn log(&self, usage: u64, action: Action) {
        let Limits { soft, hard } = self.limits;
        let divisor = action.divisor;
        match (self.last.dropping, action.dropping) {
            (false, true) => {
                tracing::error!(usage, hard, "Memory usage is above hard limit. Dropping samples.")
            }
            (true, false) => {
                tracing::info!(usage, soft, "Memory usage back within limits. Resuming normal operation.")
            }
            _ => {}
        }
        if divisor > self.last.divisor {
            tracing::warn!(usage, soft, divisor, "Memory usage is above soft limit. Sampling less.");
        } else if divisor < self.last.divisor {
            tracing::info!(usage, soft, divisor, "Memory usage is below soft limit. Sampling more.");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;

    #[derive(Debug, Default)]
    struct Rate(Mutex<Vec<u32>>);

    impl Throttle for Rate {
        fn set_divisor(&self, divisor: u32) {
            self.0.lock().unwrap().push(divisor);
        }
    }

    impl Rate {
        fn wait_for(&self, divisor: u32) {
            let start = Instant::now();
            while self.0.lock().unwrap().last() != Some(&divisor) {
                assert!(start.elapsed() < Duration::from_secs(30), "{:?}", self.0.lock().unwrap());
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// The thread sees what `/proc` says, samples less, drops, recovers, and takes all back at its end.
    #[test]
    fn what_proc_says_decides_and_the_end_takes_all_back() {
        let root = tempfile::tempdir().unwrap();
        let kib = 1024;
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let path = root.path().join("proc/self/status");
        // Renamed into place, since the thread must never read half of it.
        let use_kib = |kib: u64| {
            let new = path.with_extension("new");
            fs::write(&new, format!("VmRSS: 999999 kB\nRssAnon: {kib} kB\n")).unwrap();
            fs::rename(&new, &path).unwrap();
        };
        use_kib(10);
        let rate = Arc::new(Rate::default());
        let settings = LimiterSettings { id: "memory_limiter".into(), throttle: Arc::clone(&rate) as _ };
        let limits = Limits { soft: 800 * kib, hard: 1000 * kib };
        let machine = Machine::new(root.path());
        let watch = Watch::start(settings, machine, limits, Duration::from_millis(1)).unwrap();
        assert!(!watch.dropping());
        use_kib(900);
        rate.wait_for(32);
        assert!(!watch.dropping());
        use_kib(1001);
        let start = Instant::now();
        while !watch.dropping() {
            assert!(start.elapsed() < Duration::from_secs(30));
        }
        use_kib(10);
        rate.wait_for(1);
        assert!(!watch.dropping());
        use_kib(900);
        rate.wait_for(32);
        drop(watch);
        rate.wait_for(1);
        let mut told = rate.0.lock().unwrap().clone();
        told.dedup();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 16, 8, 4, 2, 1, 2, 4, 8, 16, 32, 1], "step by step");
    }

    #[test]
    fn without_proc_it_does_not_start() {
        let root = tempfile::tempdir().unwrap();
        let settings = LimiterSettings { id: "memory_limiter".into(), throttle: Arc::new(Rate::default()) };
        let limits = Limits { soft: 1, hard: 2 };
        let watch = Watch::start(settings, Machine::new(root.path()), limits, Duration::from_secs(1));
        assert!(matches!(watch, Err(StartError::Usage(_))));
    }
}
