//! CPUs that go and come back. Alone in its program: threads that other tests pin would lose their CPU.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pdata::{Batch, Event, KTime, LossReason, Sample};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use support::{Ends, PATIENCE, Recorder, burn, record_watched};

const SWITCH: &str = "/sys/devices/system/cpu/cpu1/online";
const RATE: f64 = 199.0;

fn now() -> KTime {
    let time = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
    KTime::from_nanos(u64::try_from(time.as_nanos()).unwrap())
}

/// The instants around a CPU's return.
#[derive(Clone, Copy)]
struct Back {
    /// An instant before which the CPU had not worked.
    after: KTime,
    /// The instant from which on the CPU had no time to be idle.
    busy_from: KTime,
}

/// Takes the CPU away for `time`, and keeps it busy once it is back, for as long as `work` takes.
fn offline(time: Duration, work: impl FnOnce(Back)) {
    std::fs::write(SWITCH, "0").unwrap();
    // The time without the CPU is what the tests are about.
    std::thread::sleep(time);
    let (after, done, busy) = (now(), AtomicBool::new(false), std::sync::mpsc::sync_channel(1));
    std::fs::write(SWITCH, "1").unwrap();
    std::thread::scope(|scope| {
        let _ends = Ends(&done);
        scope.spawn(|| {
            let mut only = CpuSet::new();
            only.set(1);
            let start = Instant::now();
            // Its control group may get the CPU back a little later than the machine.
            while let Err(error) = sched_setaffinity(None, &only) {
                assert!(start.elapsed() < PATIENCE, "{error}");
                std::thread::sleep(Duration::from_millis(1));
            }
            busy.0.send(now()).unwrap();
            while !done.load(Ordering::Relaxed) {
                burn(Duration::from_millis(1));
            }
        });
        work(Back { after, busy_from: busy.1.recv_timeout(PATIENCE * 2).unwrap() });
    });
}

/// Waits until the CPU has been sampled for a while after `back`: long enough for the missed samples to be counted.
fn wait_for_samples(recorder: &Recorder, back: KTime) {
    let late =
        |sample: &Sample| sample.cpu == 1 && sample.at.saturating_since(back) > Duration::from_millis(1_500);
    recorder.wait_until("samples of CPU 1", |batches| batches.iter().flat_map(Batch::samples).any(late));
}

/// Runs `work` on a machine whose CPUs have no time to be idle.
fn on_busy_cpus(work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends = Ends(&done);
        for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(1));
                }
            });
        }
        work();
    });
}

/// A CPU that comes back is sampled again, whether its absence could be noticed or was too short for that (as in a
/// suspend), and the samples that it should have taken meanwhile are counted.
#[test]
#[ignore = "needs root: loads BPF programs, and takes CPU 1 offline for half a second"]
fn a_cpu_that_comes_back_is_sampled_again_and_what_it_missed_is_counted() {
    if !std::path::Path::new(SWITCH).exists() {
        println!("this machine has no second CPU that can be taken offline");
        return;
    }
    let returns = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&returns);
    let batches = record_watched(move |_, recorder| {
        on_busy_cpus(|| {
            wait_for_samples(recorder, now());
            for absence in [500, 0].map(Duration::from_millis) {
                offline(absence, |back| {
                    seen.lock().unwrap().push(back);
                    wait_for_samples(recorder, back.busy_from);
                });
            }
        });
    });
    let samples: Vec<_> = batches.iter().flat_map(Batch::samples).filter(|sample| sample.cpu == 1).collect();
    let (mut least, mut most) = (0.0, 0.0);
    for back in &*returns.lock().unwrap() {
        let first = samples.iter().find(|sample| sample.at > back.after).unwrap().at;
        println!("sampled {:?} after it was back", first.saturating_since(back.after));
        least += first.saturating_since(back.busy_from).as_secs_f64() * RATE;
        most += first.saturating_since(back.after).as_secs_f64() * RATE;
    }
    let counted: u64 = batches.iter().flat_map(|batch| batch.events.iter()).map(unattended).sum();
    println!("{counted} samples counted as lost, {least:.0} to {most:.0} were");
    // The kernel counts working time in steps of a tick (4 ms), and leaves out what the machine's host has taken.
    let counted = f64::from(u32::try_from(counted).unwrap());
    let slack = 0.25 * most + 8.0;
    assert!(least - slack <= counted && counted <= most + slack, "{counted} of {least} to {most}");
}

fn unattended(event: &Event) -> u64 {
    match event {
        Event::Loss(loss) if loss.reason == LossReason::SampleCpuUnattended => loss.count,
        _ => 0,
    }
}
