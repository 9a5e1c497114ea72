//! The work of the thread, with the agent killed or the disk failing at each of its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::directory::Directory;
use crate::fault::tests::{break_once, in_memory, kill_after};
use crate::record::Record;

/// Name of the file.
const FILE: &str = "queue";
/// Requests, by their numbers of samples, that an earlier run has left.
const LEFT: [u64; 2] = [100, 101];
/// The number of samples of the request that is written last.
const LAST: u64 = 1_000;
/// Attempts to write to a file that has failed once.
const ATTEMPTS: usize = 3;

fn config(directory: &Path) -> Config {
    Config {
        directory: directory.to_owned(),
        fsync: true,
        fsync_interval: Duration::ZERO,
        ..Config::default()
    }
}

fn record(samples: u64) -> Record {
    Record { samples, created: 5, request: vec![7; 2_000].into() }
}

/// What a test may find in the file, request by request.
#[derive(Debug, Default)]
struct Model {
    /// Requests whose writing was acknowledged and whose removal was not asked for, with their handles if known.
    durable: BTreeMap<u64, Option<Handle>>,
    /// Requests whose removal was asked for.
    leaving: BTreeSet<u64>,
    /// Requests whose removal was followed by an acknowledgement, and is therefore durable.
    gone: BTreeSet<u64>,
    /// Requests that were ever written or tried.
    tried: BTreeSet<u64>,
}

impl Model {
    /// Checks the requests that the next run finds.
    fn check(&self, found: &[u64], is_salvaged: bool, when: &str) {
        let once: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(once.len(), found.len(), "{when}: {found:?} has one twice");
        let lost: Vec<_> = self.durable.keys().filter(|samples| !once.contains(samples)).collect();
        assert!(lost.is_empty(), "{when}: {lost:?} were acknowledged and are lost: {found:?}, {self:?}");
        assert!(once.is_subset(&self.tried), "{when}: {found:?} of {self:?}");
        // A salvage finds removed records, too.
        assert!(is_salvaged || once.is_disjoint(&self.gone), "{when}: {found:?} of {self:?}");
    }
}

/// The thread's work, done on the test's thread.
struct Bench {
    worker: Worker,
    recovered: Arc<Mutex<Vec<Stored>>>,
}

impl Bench {
    /// A worker on a directory; `None` if the directory cannot be had.
    fn new(path: &Path) -> Option<Self> {
        let config = config(path);
        let directory = Directory::open(&config).ok()?;
        let (inbox, recovered) = (Arc::<Inbox>::default(), Arc::<Mutex<Vec<Stored>>>::default());
        let found = Arc::clone(&recovered);
        let (file, clock) = (directory.take(FILE), directory.clock());
        let hand_over = Box::new(move |stored| *found.lock().unwrap() = stored);
        let mut worker = Worker::new(inbox, file, &config, "otlp", clock, hand_over);
        // A file that has failed is tried again at once, and made anew whenever nothing is left in it.
        (worker.again_after, worker.large_file) = (Duration::ZERO, 0);
        Some(Self { worker, recovered })
    }

    /// Has the worker write a request and remove others, as far as their handles are known. True if the writing was
    /// acknowledged.
    fn turn(&mut self, model: &mut Model, append: Option<u64>, removes: &[u64]) -> bool {
        for stored in self.recovered.lock().unwrap().drain(..) {
            model.durable.entry(stored.samples).and_modify(|handle| *handle = Some(stored.handle));
        }
        let inbox = Arc::clone(&self.worker.inbox);
        let mut is_asked = false;
        for samples in removes {
            if let Some(handle) = model.durable.get(samples).copied().flatten() {
                model.durable.remove(samples);
                model.leaving.insert(*samples);
                inbox.ask(|asked| {
                    asked.touch();
                    asked.removes.push(handle);
                });
                is_asked = true;
            }
        }
        let acknowledged = Arc::new(Mutex::new(None));
        if let Some(samples) = append {
            model.tried.insert(samples);
            let answer = Arc::clone(&acknowledged);
            inbox.ask(|asked| {
                let handle = asked.handle();
                let then =
                    Box::new(move |is_there: bool| *answer.lock().unwrap() = is_there.then_some(handle));
                asked.touch();
                asked.appends.push(Append { handle, record: record(samples), then });
            });
            is_asked = true;
        }
        if is_asked {
            // The pause after a failure is a multiple of this.
            self.worker.opening = Duration::ZERO;
            let _nobody_waits = self.worker.turn();
        }
        let handle = *acknowledged.lock().unwrap();
        if let (Some(samples), Some(_)) = (append, handle) {
            model.durable.insert(samples, handle);
            model.gone.append(&mut model.leaving);
        }
        handle.is_some()
    }

    /// Work of every kind: goes on with an earlier run's requests, writes and removes, alone and together, makes the
    /// file anew.
    fn work(&mut self, model: &mut Model) {
        self.turn(model, Some(1), &[]);
        self.turn(model, Some(2), &[LEFT[0]]);
        self.turn(model, None, &[LEFT[1], 1, 2]);
        self.turn(model, Some(3), &[]);
        self.turn(model, Some(4), &[3]);
        self.turn(model, Some(5), &[]);
    }

    fn close(self) {
        if let Some(store) = self.worker.store {
            store.close();
        }
    }
}

/// A directory with the file of an earlier run, and the model of that.
fn left() -> (TempDir, Model) {
    let directory = in_memory();
    let (mut store, _) = Store::open(&directory.path().join(FILE), false).unwrap();
    for (key, samples) in (1..).zip(LEFT) {
        store.commit(&[(key, record(samples).encode(key))], &[]).unwrap();
    }
    store.close();
    let durable = LEFT.map(|samples| (samples, None)).into();
    (directory, Model { durable, tried: LEFT.into(), ..Model::default() })
}

/// The requests in the file, and true if it had to be salvaged.
fn found(directory: &TempDir) -> (Vec<u64>, bool) {
    let (store, contents) = Store::open(&directory.path().join(FILE), true).unwrap();
    store.close();
    (contents.records.iter().map(|found| found.samples).collect(), contents.moved.is_some())
}

/// Whichever step is the last, from the lock of the directory on, the next run finds every request that was
/// acknowledged, and none whose removal was.
#[test]
fn a_kill_at_any_step_of_the_thread_loses_nothing_that_was_acknowledged() {
    for steps in 0.. {
        let (directory, mut model) = left();
        let is_killed = kill_after(steps, || {
            let Some(mut bench) = Bench::new(directory.path()) else { return };
            bench.work(&mut model);
            bench.close();
        });
        let (found, is_salvaged) = found(&directory);
        model.check(&found, is_salvaged, &format!("killed after {steps} steps"));
        if !is_killed {
            assert_eq!(found, [4, 5]);
            assert!(steps > 100, "{steps}");
            return;
        }
    }
}

/// Whichever step fails, the file works again after it, and has then what was acknowledged and nothing else.
#[test]
fn a_failure_of_any_step_of_the_thread_loses_nothing_that_was_acknowledged() {
    for steps in 0.. {
        let (directory, mut model) = left();
        let has_failed = break_once(steps, || {
            // The directory's own steps come before the file's; without its lock there is no work.
            let Some(mut bench) = Bench::new(directory.path()) else { return };
            bench.work(&mut model);
            let mut is_written = || bench.turn(&mut model, Some(LAST), &[]);
            assert!((0..ATTEMPTS).any(|_| is_written()), "failed after {steps} steps, and stays unusable");
            bench.close();
        });
        let (found, is_salvaged) = found(&directory);
        model.check(&found, is_salvaged, &format!("failed after {steps} steps"));
        if !has_failed {
            assert!(steps > 100, "{steps}");
            return;
        }
    }
}

/// A kill while a directory is opened keeps no later run from it, and makes no clock wrong.
#[test]
fn a_kill_at_any_step_of_opening_the_directory_is_survived() {
    for steps in 0.. {
        let directory = in_memory();
        let is_killed = kill_after(steps, || drop(Directory::open(&config(directory.path()))));
        let wall = Clock::open(Path::new("/does/not/exist")).now();
        let opened = Directory::open(&config(directory.path())).unwrap();
        assert!(opened.clock().now().abs_diff(wall) <= 60, "killed after {steps} steps");
        let holder = std::fs::read_to_string(directory.path().join("lock")).unwrap();
        assert_eq!(holder, std::process::id().to_string(), "killed after {steps} steps");
        if !is_killed {
            assert!(steps >= 6, "{steps}");
            return;
        }
    }
}
