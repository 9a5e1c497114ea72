//! Counts the samples that pass, and takes the time that a processor works on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram};
use pdata::Batch;
use tower::{Layer, Service};

/// Takes the time that a processor works on a batch itself, without what comes after it. A processor does its work
/// before its `call` returns: what `call` takes, less what the `call` of the next stage took within it.
#[derive(Clone, Debug)]
pub struct Stopwatch {
    taken: Histogram,
    /// Nanoseconds spent in the stages after it, since the batch came.
    elsewhere: Arc<AtomicU64>,
}

impl Stopwatch {
    /// Records times, in seconds, to `taken`.
    #[must_use]
    pub fn new(taken: Histogram) -> Self {
        Self { taken, elsewhere: Arc::default() }
    }
}

/// What a stage has to do with a stopwatch.
#[derive(Clone, Debug)]
enum Timing {
    None,
    /// The stopwatch runs while the stage is called.
    Runs(Stopwatch),
    /// It stands still.
    Pauses(Stopwatch),
}

/// Puts an [`Instrument`] around a service.
#[derive(Clone, Debug)]
pub struct InstrumentLayer {
    samples: Counter,
    timing: Timing,
}

impl InstrumentLayer {
    /// Adds the samples of each batch to `samples`.
    #[must_use]
    pub fn new(samples: Counter) -> Self {
        Self { samples, timing: Timing::None }
    }

    /// In front of a processor: has `watch` run for it.
    #[must_use]
    pub fn runs(self, watch: &Stopwatch) -> Self {
        Self { timing: Timing::Runs(watch.clone()), ..self }
    }

    /// Behind a processor: has `watch` stand still for what follows.
    #[must_use]
    pub fn pauses(self, watch: &Stopwatch) -> Self {
        Self { timing: Timing::Pauses(watch.clone()), ..self }
    }
}

impl<S> Layer<S> for InstrumentLayer {
    type Service = Instrument<S>;

    fn layer(&self, inner: S) -> Instrument<S> {
        Instrument { inner, samples: self.samples.clone(), timing: self.timing.clone() }
    }
}

/// A service whose calls are counted by their samples, and that changes nothing.
#[derive(Clone, Debug)]
pub struct Instrument<S> {
    inner: S,
    samples: Counter,
    timing: Timing,
}

impl<S: Service<Batch>> Service<Batch> for Instrument<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> S::Future {
        self.samples.increment(crate::metrics::count(batch.samples()));
        let start = Instant::now();
        let answer = self.inner.call(batch);
        match &self.timing {
            Timing::None => {}
            Timing::Runs(watch) => {
                let elsewhere = Duration::from_nanos(watch.elsewhere.swap(0, Ordering::Relaxed));
                watch.taken.record(start.elapsed().saturating_sub(elsewhere));
            }
            Timing::Pauses(watch) => {
                let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                watch.elsewhere.fetch_add(nanos, Ordering::Relaxed);
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;
    use std::thread::sleep;

    use metrics::{counter, histogram, with_local_recorder};
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use pdata::{ClockOffset, Watermark};
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    const WORK: Duration = Duration::from_millis(2);
    const REST: Duration = Duration::from_millis(500);

    #[test]
    fn what_comes_after_a_processor_is_not_its_time() {
        let recorder = DebuggingRecorder::new();
        with_local_recorder(&recorder, || {
            let watch = Stopwatch::new(histogram!("taken"));
            let next = service_fn(|_batch: Batch| {
                sleep(REST);
                ready(Ok::<_, Infallible>(Watermark::NONE))
            });
            let next = InstrumentLayer::new(counter!("out")).pauses(&watch).layer(next);
            let processor = next.map_request(|batch| {
                sleep(WORK);
                batch
            });
            let mut processor = InstrumentLayer::new(counter!("in")).runs(&watch).layer(processor);
            for _ in 0..2 {
                let _answer = processor.call(Batch {
                    events: Arc::default(),
                    watermark: Watermark::NONE,
                    clock: ClockOffset::default(),
                    flush: false,
                });
            }
        });
        let all = recorder.snapshotter().snapshot().into_vec();
        let taken = all.iter().find(|(key, ..)| key.key().name() == "taken").map(|(.., value)| value);
        let Some(DebugValue::Histogram(times)) = taken else { panic!("{all:?}") };
        let times: Vec<_> = times.iter().map(|time| time.into_inner()).collect();
        assert_eq!(times.len(), 2);
        for time in times {
            assert!(time >= WORK.as_secs_f64() && time < REST.as_secs_f64(), "{time}");
        }
    }
}
