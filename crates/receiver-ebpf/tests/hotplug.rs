//! CPUs that go and come back. Alone in its program: threads that other tests pin would lose their CPU.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pdata::{Batch, Event, KTime, LossReason};
use rustix::time::{ClockId, clock_gettime};

use support::{burn, record_controlled};

const SWITCH: &str = "/sys/devices/system/cpu/cpu1/online";
const RATE: f64 = 199.0;

fn now() -> KTime {
    let time = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
    KTime::from_nanos(u64::try_from(time.as_nanos()).unwrap())
}

/// Takes the CPU away for so long. Returns when it was back.
fn offline(time: Duration) -> KTime {
    std::fs::write(SWITCH, "0").unwrap();
    std::thread::sleep(time);
    std::fs::write(SWITCH, "1").unwrap();
    now()
}

/// Runs `work` on a machine whose CPUs have no time to be idle.
fn on_busy_cpus(work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    burn(Duration::from_millis(1));
                }
            });
        }
        work();
        done.store(true, Ordering::Relaxed);
    });
}

/// A CPU that comes back is sampled within a second, whether its absence could be noticed or was too short for that (as
/// in a suspend), and what it should have sampled meanwhile is counted.
#[test]
#[ignore = "needs root: loads BPF programs, and takes CPU 1 offline for half a second"]
fn a_cpu_that_comes_back_is_sampled_again_and_what_it_missed_is_counted() {
    if !std::path::Path::new(SWITCH).exists() {
        println!("this machine has no second CPU that can be taken offline");
        return;
    }
    let returns = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&returns);
    let batches = record_controlled(move |_| {
        on_busy_cpus(|| {
            for absence in [500, 0].map(Duration::from_millis) {
                std::thread::sleep(Duration::from_millis(1_500));
                seen.lock().unwrap().push(offline(absence));
            }
            std::thread::sleep(Duration::from_millis(2_500));
        });
    });
    let samples: Vec<_> = batches.iter().flat_map(Batch::samples).filter(|sample| sample.cpu == 1).collect();
    let mut missing = 0.0;
    for &back in &*returns.lock().unwrap() {
        let first = samples.iter().find(|sample| sample.at > back).unwrap().at;
        let gap = first.saturating_since(back);
        println!("sampled {gap:?} after it was back");
        assert!(gap < Duration::from_secs(1), "{gap:?}");
        missing += gap.as_secs_f64() * RATE;
    }
    let counted: u64 = batches.iter().flat_map(|batch| batch.events.iter()).map(unattended).sum();
    println!("{counted} samples counted as lost, {missing:.0} were");
    // The kernel counts working time in steps of a tick (4 ms).
    let counted = f64::from(u32::try_from(counted).unwrap());
    assert!((counted - missing).abs() <= 0.2 * missing + 4.0, "{counted} {missing}");
}

fn unattended(event: &Event) -> u64 {
    match event {
        Event::Loss(loss) if loss.reason == LossReason::SampleCpuUnattended => loss.count,
        _ => 0,
    }
}
