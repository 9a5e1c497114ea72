//! The kernel's own limit of samples, below the rate. Alone in its program: the limit is the whole machine's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use pdata::{Batch, Event, LossReason};
use receiver_ebpf::Config;

use support::{PATIENCE, Recorder, run};

const LIMIT: &str = "/proc/sys/kernel/perf_event_max_sample_rate";
const RATE: u32 = 997;

/// Another limit of the kernel, until it is dropped.
struct Limited(String);

impl Limited {
    fn to(limit: &str) -> Self {
        let before = fs::read_to_string(LIMIT).unwrap();
        fs::write(LIMIT, limit).unwrap();
        Self(before)
    }
}

impl Limited {
    /// Changes the limit once more.
    fn change(&self, limit: &str) {
        fs::write(LIMIT, limit).unwrap();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        fs::write(LIMIT, self.0.trim()).unwrap();
    }
}

/// A log of this program's warnings, all threads' together.
struct Warnings(tempfile::NamedTempFile);

impl Warnings {
    fn begin() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::WARN);
        log.with_writer(file.reopen().unwrap()).init();
        Self(file)
    }

    /// Number of warnings of the limit so far.
    fn of_the_limit(&self) -> usize {
        let text = fs::read_to_string(self.0.path()).unwrap();
        text.lines().filter(|line| line.contains("The kernel's limit is below the rate")).count()
    }
}

/// The time that all CPUs have worked, seconds, to the tick of user space.
fn worked() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let numbers = text.lines().next().unwrap().split_ascii_whitespace().skip(1);
    let numbers: Vec<f64> = numbers.map(|number| number.parse().unwrap()).collect();
    (numbers[0] + numbers[1] + numbers[2] + numbers[5] + numbers[6]) / 100.0
}

/// Runs two threads that wake each other: no thread runs from one tick to the next, so no missed tick is certain by
/// that.
fn ping_pong(time: Duration) {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    let end = Instant::now() + time;
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while other.read_exact(&mut byte).is_ok() && other.write_all(&byte).is_ok() {}
    });
    while Instant::now() < end {
        one.write_all(b"x").unwrap();
        one.read_exact(&mut [0]).unwrap();
    }
    drop(one);
    echo.join().unwrap();
}

/// Samples and losses together are as many as the CPUs' work asks for. Before, three quarters were missing, and nothing
/// was counted but where one thread ran all the while. There is one warning for each value of the limit, however often
/// it is looked at.
#[test]
#[ignore = "needs root: loads BPF programs, and lowers kernel.perf_event_max_sample_rate for some seconds"]
fn samples_that_the_kernels_own_limit_thins_are_counted_as_lost() {
    let recorder = Recorder::default();
    let warnings = Warnings::begin();
    let limited = Limited::to("250");
    let (before, after) = (std::sync::mpsc::sync_channel(1), std::sync::mpsc::sync_channel(1));
    let noted = std::sync::mpsc::sync_channel(1);
    let config = Config { samples_per_second: RATE, ..Config::default() };
    run(config, recorder.clone(), move |_control| {
        before.0.send(worked()).unwrap();
        // The time is so long that both ends of the run are little of it on a busy machine, too.
        ping_pong(Duration::from_secs(15));
        // The limit has been looked at once at least since the start.
        assert_eq!(warnings.of_the_limit(), 1);
        limited.change("300");
        let changed = Instant::now();
        while warnings.of_the_limit() < 2 {
            assert!(changed.elapsed() < PATIENCE, "nobody has noticed the other limit");
            ping_pong(Duration::from_millis(100));
        }
        // The last look is at the end of the run.
        noted.0.send((limited, warnings)).unwrap();
        after.0.send(worked()).unwrap();
    });
    let (limited, warnings) = noted.1.recv().unwrap();
    drop(limited);
    assert_eq!(warnings.of_the_limit(), 2);
    let due = (after.1.recv().unwrap() - before.1.recv().unwrap()) * f64::from(RATE);
    let batches = recorder.0.lock().unwrap();
    let taken = batches.iter().flat_map(Batch::samples).count();
    let lost = |of: fn(LossReason) -> bool| -> u64 {
        let losses = batches.iter().flat_map(|batch| batch.events.iter()).filter_map(|event| match event {
            Event::Loss(loss) if of(loss.reason) => Some(loss.count),
            _ => None,
        });
        losses.sum()
    };
    let (lost, thinned) = (lost(LossReason::is_sample), lost(|reason| reason == LossReason::SampleThinned));
    println!(
        "{due:.0} samples were due, {taken} were taken, {lost} counted as lost, {thinned} of them as thinned"
    );
    let (taken, lost) = (f64::from(u32::try_from(taken).unwrap()), f64::from(u32::try_from(lost).unwrap()));
    assert!(taken < 0.7 * due, "the limit has had no effect");
    // Samples at both ends of the run are in the count and not among those that were due.
    assert!((0.9..1.15).contains(&((taken + lost) / due)), "{} of {due}", taken + lost);
}
