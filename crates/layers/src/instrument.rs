//! The measurement of the batches that pass between two stages: numbers of samples, watermarks, times.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use componentstatus::Stage;
use metrics::Counter;
use pdata::Batch;
use tower::{Layer, Service};

use crate::stopwatch::Stopwatch;

/// Puts an [`Instrument`] around a service: between the stage before it and that service. An instrument does nothing
/// unless asked to.
#[derive(Clone, Debug, Default)]
pub struct InstrumentLayer {
    counters: Vec<Counter>,
    forwarded_by: Option<Arc<Stage>>,
    pauses: Option<Stopwatch>,
    runs: Option<Stopwatch>,
}

impl InstrumentLayer {
    /// An instrument that does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the samples of each batch to `samples`, too.
    #[must_use]
    pub fn counts(mut self, samples: Counter) -> Self {
        self.counters.push(samples);
        self
    }

    /// Shows on the board that `stage`, the stage before, has passed each batch on.
    #[must_use]
    pub fn shows(self, stage: Arc<Stage>) -> Self {
        Self { forwarded_by: Some(stage), ..self }
    }

    /// Has `watch`, the stopwatch of the processor before, stand still during the stages that follow.
    #[must_use]
    pub fn pauses(self, watch: &Stopwatch) -> Self {
        Self { pauses: Some(watch.clone()), ..self }
    }

    /// Has `watch` run for the processor that follows.
    #[must_use]
    pub fn runs(self, watch: &Stopwatch) -> Self {
        Self { runs: Some(watch.clone()), ..self }
    }
}

impl<S> Layer<S> for InstrumentLayer {
    type Service = Instrument<S>;

    fn layer(&self, inner: S) -> Instrument<S> {
        Instrument { inner, notes: self.clone() }
    }
}

/// A service whose calls are measured as its [`InstrumentLayer`] asks, and that changes nothing.
#[derive(Clone, Debug)]
pub struct Instrument<S> {
    inner: S,
    notes: InstrumentLayer,
}

impl<S: Service<Batch>> Service<Batch> for Instrument<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> S::Future {
        let InstrumentLayer { counters, forwarded_by, pauses, runs } = &self.notes;
        let samples = batch.sample_count();
        counters.iter().for_each(|counter| counter.increment(samples));
        if let Some(stage) = forwarded_by {
            stage.forwarded(samples, batch.watermark);
        }
        let start = Instant::now();
        let answer = self.inner.call(batch);
        let taken = start.elapsed();
        if let Some(watch) = runs {
            watch.record(taken);
        }
        if let Some(watch) = pauses {
            watch.leave_out(taken);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;
    use std::thread::sleep;
    use std::time::Duration;

    use metrics::{counter, histogram, with_local_recorder};
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use pdata::Watermark;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    const WORK: Duration = Duration::from_millis(2);
    const REST: Duration = Duration::from_millis(20);

    #[test]
    fn what_comes_after_a_processor_is_not_its_time() {
        let recorder = DebuggingRecorder::new();
        let mut calls = Vec::new();
        with_local_recorder(&recorder, || {
            let watch = Stopwatch::new(histogram!("taken"));
            let next = service_fn(|_batch: Batch| {
                sleep(REST);
                ready(Ok::<_, Infallible>(Watermark::NONE))
            });
            let next = InstrumentLayer::new().counts(counter!("out")).pauses(&watch).layer(next);
            let processor = next.map_request(|batch| {
                sleep(WORK);
                batch
            });
            let mut processor = InstrumentLayer::new().counts(counter!("in")).runs(&watch).layer(processor);
            for _ in 0..2 {
                let began = Instant::now();
                let _answer = processor.call(Batch {
                    events: Arc::default(),
                    watermark: Watermark::NONE,
                    ..Batch::default()
                });
                calls.push(began.elapsed());
            }
        });
        let all = recorder.snapshotter().snapshot().into_vec();
        let taken = all.iter().find(|(key, ..)| key.key().name() == "taken").map(|(.., value)| value);
        let Some(DebugValue::Histogram(times)) = taken else { panic!("{all:?}") };
        let times: Vec<_> = times.iter().map(|time| time.into_inner()).collect();
        assert_eq!((times.len(), calls.len()), (2, 2));
        for (time, call) in times.into_iter().zip(calls) {
            // `most` holds however much longer than asked for each sleep took.
            let most = (call - REST).as_secs_f64();
            assert!(time >= WORK.as_secs_f64() && time <= most, "{time} of {call:?}");
        }
    }
}
