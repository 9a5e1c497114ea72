//! Support of the tests against the running kernel: a receiver at work, and a recorder of its batches.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pdata::{Batch, Event, LossReason, Watermark};
use receiver_ebpf::{Config, Control, Receiver};
use rustix::time::{ClockId, clock_gettime};
use tower::{Service, service_fn};

/// A next stage that keeps every batch, and is done with it at once.
#[derive(Clone, Default)]
pub(crate) struct Recorder(pub(crate) Arc<Mutex<Vec<Batch>>>);

/// A time longer than anything takes on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

impl Recorder {
    /// Waits until the recorded batches are as `wanted`.
    pub(crate) fn wait_until(&self, what: &str, wanted: impl Fn(&[Batch]) -> bool) {
        assert!(self.is_soon(PATIENCE, wanted), "waited {PATIENCE:?} for {what}");
    }

    /// True once the recorded batches are as `wanted`; false if they are not within `patience`.
    pub(crate) fn is_soon(&self, patience: Duration, wanted: impl Fn(&[Batch]) -> bool) -> bool {
        let start = Instant::now();
        while !wanted(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            if start.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Service<Batch> for Recorder {
    type Response = Watermark;
    type Error = Infallible;
    type Future = Ready<Result<Watermark, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let watermark = batch.watermark;
        // A test that panicked while it looked has failed already, by its own message.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
        ready(Ok(watermark))
    }
}

/// A next stage that shows each batch to `take`, and is done with it then.
pub(crate) fn done_after(
    mut take: impl FnMut(&Batch),
) -> impl Service<Batch, Response = Watermark, Error = Infallible> {
    service_fn(move |batch: Batch| {
        take(&batch);
        ready(Ok(batch.watermark))
    })
}

/// Runs the receiver at 199 Hz while `work` runs on a thread of its own; `work` may change it meanwhile.
pub(crate) fn record_controlled(work: impl FnOnce(&Control) + Send + 'static) -> Vec<Batch> {
    record_watched(|control, _| work(control))
}

/// Runs the receiver as [`record_controlled`] does; `work` may look at the batches passed on so far.
pub(crate) fn record_watched(work: impl FnOnce(&Control, &Recorder) + Send + 'static) -> Vec<Batch> {
    let recorder = Recorder::default();
    let seen = recorder.clone();
    let config = Config { samples_per_second: 199, ..Config::default() };
    run(config, recorder.clone(), move |control| work(control, &seen));
    let batches = recorder.0.lock().unwrap();
    batches.clone()
}

/// Runs a receiver in front of `next` for as long as `work` does.
pub(crate) fn run<S>(config: Config, next: S, work: impl FnOnce(&Control) + Send + 'static)
where
    S: Service<Batch, Response = Watermark, Error = Infallible>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let control = Control::new(&config);
        let receiver = Receiver::start(&config, control.clone()).unwrap();
        let work = tokio::task::spawn_blocking(move || work(&control));
        let stop = async { work.await.unwrap() };
        receiver.run(next, stop).await.unwrap();
    });
}

/// A guard that asks threads to end once it is dropped, by a panic too: a scope waits for its threads before it passes
/// a panic on. It is made first in the scope whose threads look at the flag.
#[must_use = "the threads are asked to end when this is dropped"]
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The number of samples that an event reports as missed by a timer that fired too late.
pub(crate) fn missed_ticks(event: &Event) -> u64 {
    match event {
        Event::Loss(loss) if loss.reason == LossReason::SampleTimerMissed => loss.count,
        _ => 0,
    }
}

/// Uses `time` of a CPU, nearly all of it in this program's own code.
pub(crate) fn burn(time: Duration) {
    let used = || clock_gettime(ClockId::ThreadCPUTime);
    let (start, mut x) = (used(), 1u64);
    while Duration::try_from(used() - start).unwrap() < time {
        for _ in 0..100_000 {
            x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}
