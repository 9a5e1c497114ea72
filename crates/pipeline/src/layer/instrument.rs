//! Counts the samples that pass.

use std::task::{Context, Poll};

use metrics::Counter;
use pdata::Batch;
use tower::{Layer, Service};

/// Puts an [`Instrument`] around a service.
#[derive(Clone, Debug)]
pub struct InstrumentLayer {
    samples: Counter,
}

impl InstrumentLayer {
    /// Adds the samples of each batch to `samples`.
    #[must_use]
    pub fn new(samples: Counter) -> Self {
        Self { samples }
    }
}

impl<S> Layer<S> for InstrumentLayer {
    type Service = Instrument<S>;

    fn layer(&self, inner: S) -> Instrument<S> {
        Instrument { inner, samples: self.samples.clone() }
    }
}

/// A service whose calls are counted by their samples, and that changes nothing.
#[derive(Clone, Debug)]
pub struct Instrument<S> {
    inner: S,
    samples: Counter,
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
        self.inner.call(batch)
    }
}
