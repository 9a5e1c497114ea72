//! The thread that looks at the memory in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use crate::allocator;
use crate::error::StartError;
use crate::limiter::{Action, Limiter};
use crate::limits::{Level, Limits};
use crate::meter::{Meters, Reading, Readings};
use crate::metrics::Memory;
use crate::settings::{LimiterSettings, Throttle};

/// Bytes a second that the agent's memory grows by at worst: that many bytes of samples can be read and decoded.
const FASTEST_GROWTH: u64 = 256 << 20;
/// Part of a group's hard limit, as a divisor: exporters deliver their samples whenever the charge has grown by it.
const GROWTH_PARTS: u64 = 8;
/// The shortest pause between looks at a group that is nearly full.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// A watch on the memory in use; dropping it ends it and takes back what it asked of the sampler.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    dropping: Arc<AtomicBool>,
    /// True if exporters are to deliver the samples that they hold.
    flush: Arc<AtomicBool>,
    /// Sender of the thread, which ends when this is dropped.
    _kept: Arc<SyncSender<()>>,
}

impl Watch {
    /// Looks once, at once, and then once in `every` on a thread of its own; in between, too, if a control
    /// group could be full before the next look.
    pub(crate) fn start(
        settings: LimiterSettings,
        meters: Meters,
        every: Duration,
    ) -> Result<Self, StartError> {
        let (kept, ended) = mpsc::sync_channel(0);
        let dropping = Arc::new(AtomicBool::new(false));
        let flush = Arc::new(AtomicBool::new(false));
        let first = meters.look().map_err(StartError::Usage)?;
        let mut limiter = LimiterLoop {
            memory: Memory::of(&settings.id, first.own.limits, meters.group_limits()),
            limiter: Limiter::default(),
            throttle: settings.throttle,
            dropping: Arc::clone(&dropping),
            flush: Arc::clone(&flush),
            last: Action { divisor: 1, dropping: false, give_back: false },
            least: u64::MAX,
        };
        limiter.at(&first);
        let watch = move || {
            let (mut pause, mut due) = (pause_after(&first, every), Instant::now() + every);
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let now = Instant::now();
                let is_due = now >= due;
                if is_due {
                    due = now + every;
                }
                pause = match meters.look() {
                    Ok(look) => limiter.follow(&look, is_due, every),
                    Err(error) => {
                        tracing::warn!(%error, "The memory in use cannot be read.");
                        every
                    }
                };
                pause = pause.min(due.saturating_duration_since(Instant::now()));
            }
            limiter.throttle.set_divisor(1);
        };
        thread::Builder::new().name("memory-limiter".to_owned()).spawn(watch).map_err(StartError::Thread)?;
        Ok(Self { dropping, flush, _kept: Arc::new(kept) })
    }

    /// Whether samples are to be dropped now.
    pub(crate) fn dropping(&self) -> bool {
        // Relaxed: the flag is all there is to see, and a batch more or less does not matter.
        self.dropping.load(Ordering::Relaxed)
    }

    /// Whether exporters are to deliver the samples that they hold; true once for each time.
    pub(crate) fn take_flush(&self) -> bool {
        self.flush.swap(false, Ordering::Relaxed)
    }

    /// A watch that nobody keeps, as a test wants it.
    #[cfg(test)]
    pub(crate) fn fixed(dropping: bool) -> Self {
        Self {
            dropping: Arc::new(AtomicBool::new(dropping)),
            flush: Arc::default(),
            _kept: Arc::new(mpsc::sync_channel(0).0),
        }
    }
}

/// The shortest time in which a control group can become full, within bounds.
fn pause_after(look: &Readings, every: Duration) -> Duration {
    let Some(group) = look.group else { return every };
    let soonest = Duration::from_millis(group.room().saturating_mul(1000) / FASTEST_GROWTH);
    soonest.max(SHORTEST_PAUSE).min(every)
}

/// Checks the memory in use and applies the limiter's decisions.
struct LimiterLoop {
    limiter: Limiter,
    throttle: Arc<dyn Throttle>,
    dropping: Arc<AtomicBool>,
    flush: Arc<AtomicBool>,
    last: Action,
    memory: Memory,
    /// The least charge of the group since exporters were last asked to deliver.
    least: u64,
}

impl LimiterLoop {
    fn at(&mut self, look: &Readings) {
        let nearest = look.nearest();
        let action = self.limiter.check(nearest.level());
        self.dropping.store(action.dropping, Ordering::Relaxed);
        // Each time, not only when it changes: a receiver that has come since does not know the divisor.
        self.throttle.set_divisor(action.divisor);
        self.memory.show(look, action.divisor);
        self.log(nearest, action);
        if action.give_back {
            allocator::release_free_memory();
        }
        self.last = action;
    }

    /// Applies the findings of a look, which is a regular one if it `is_due`; returns the time to wait for the next.
    fn follow(&mut self, look: &Readings, is_due: bool, every: Duration) -> Duration {
        self.follow_growth(look);
        // Looks in between only ever tighten: calm is counted in regular ones.
        if is_due || self.limiter.can_tighten(look.nearest().level()) {
            self.at(look);
        }
        // With all done that can be, a group that stays full is not looked at more often than one that is not.
        if self.limiter.can_tighten(Level::AboveHard) { pause_after(look, every) } else { every }
    }

    /// Asks exporters to deliver while they have gathered little: to encode the samples takes as much memory again.
    fn follow_growth(&mut self, look: &Readings) {
        let Some(Reading { usage, limits }) = look.group else { return };
        self.least = self.least.min(usage);
        if usage - self.least > limits.hard / GROWTH_PARTS {
            self.least = usage;
            self.flush.store(true, Ordering::Relaxed);
        }
    }

    fn log(&self, nearest: Reading, action: Action) {
        let Reading { usage, limits: Limits { soft, hard } } = nearest;
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
    use crate::config::Config;
    use crate::machine::Machine;

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

    /// The thread reads `/proc`, has fewer samples taken, drops some, recovers, and takes all back at its end.
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
        let meters = Meters::new(Machine::new(root.path()), &Config::default(), limits);
        let watch = Watch::start(settings, meters, Duration::from_millis(1)).unwrap();
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

    /// The agent has little for itself, and its group, with what the kernel holds for it, is nearly full. The next
    /// regular look is an hour away.
    #[test]
    fn a_group_that_fills_up_is_noticed_before_the_next_look() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path.with_extension("new"), text).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        };
        write("proc/self/status", "RssAnon: 1 kB\n");
        write("proc/self/cgroup", "0::/\n");
        write("proc/self/mountinfo", "1 2 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        write("sys/fs/cgroup/memory.max", "1000000\n");
        write("sys/fs/cgroup/memory.stat", "inactive_file 100000\n");
        let charge = |bytes: u64| write("sys/fs/cgroup/memory.current", &format!("{bytes}\n"));
        charge(700_000);
        let rate = Arc::new(Rate::default());
        let settings = LimiterSettings { id: "memory_limiter".into(), throttle: Arc::clone(&rate) as _ };
        let own = Limits { soft: 1 << 30, hard: 2 << 30 };
        let meters = Meters::new(Machine::new(root.path()), &Config::default(), own);
        let watch = Watch::start(settings, meters, Duration::from_secs(3600)).unwrap();
        rate.wait_for(1);
        assert!(!watch.dropping(), "600,000 of 720,000");
        charge(850_000);
        rate.wait_for(2);
        charge(990_000);
        rate.wait_for(32);
        assert!(watch.dropping());
        assert!(watch.take_flush(), "exporters deliver what they hold");
        assert!(!watch.take_flush());
    }

    /// Memory that the limiter cannot change keeps the group full: BPF maps, or another process in it.
    #[test]
    fn a_group_that_stays_full_is_looked_at_in_between_only_until_all_is_done_that_can_be() {
        let rate = Arc::new(Rate::default());
        let mut limiter = LimiterLoop {
            memory: Memory::of("memory_limiter", Limits { soft: 1, hard: 2 }, None),
            limiter: Limiter::default(),
            throttle: Arc::clone(&rate) as _,
            dropping: Arc::default(),
            flush: Arc::default(),
            last: Action { divisor: 1, dropping: false, give_back: false },
            least: u64::MAX,
        };
        let limits = Limits { soft: 1 << 20, hard: 2 << 20 };
        let look =
            Readings { own: Reading { usage: 0, limits }, group: Some(Reading { usage: 3 << 20, limits }) };
        let every = Duration::from_secs(1);
        let pauses: Vec<_> = (0..100).map(|_| limiter.follow(&look, false, every)).collect();
        let short = pauses.iter().filter(|pause| **pause == SHORTEST_PAUSE).count();
        assert_eq!(short, 4, "{pauses:?}");
        assert_eq!(*rate.0.lock().unwrap(), [2, 4, 8, 16, 32], "each with the allocator's memory given back");
        assert!(limiter.dropping.load(Ordering::Relaxed));
        let _next = limiter.follow(&look, true, every);
        assert_eq!(rate.0.lock().unwrap().len(), 6, "regular looks go on");
    }

    #[test]
    fn without_proc_it_does_not_start() {
        let root = tempfile::tempdir().unwrap();
        let settings = LimiterSettings { id: "memory_limiter".into(), throttle: Arc::new(Rate::default()) };
        let limits = Limits { soft: 1, hard: 2 };
        let meters = Meters::new(Machine::new(root.path()), &Config::default(), limits);
        let watch = Watch::start(settings, meters, Duration::from_secs(1));
        assert!(matches!(watch, Err(StartError::Usage(_))));
    }
}
