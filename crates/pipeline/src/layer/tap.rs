//! Shows on the board what passes.

use std::sync::Arc;
use std::task::{Context, Poll};

use componentstatus::Stage;
use pdata::Batch;
use tower::{Layer, Service};

/// Puts a [`Tap`] around a service.
#[derive(Clone, Debug)]
pub struct TapLayer {
    stage: Arc<Stage>,
}

impl TapLayer {
    /// What passes has come from `stage`.
    #[must_use]
    pub fn new(stage: Arc<Stage>) -> Self {
        Self { stage }
    }
}

impl<S> Layer<S> for TapLayer {
    type Service = Tap<S>;

    fn layer(&self, inner: S) -> Tap<S> {
        Tap { inner, stage: self.stage.clone() }
    }
}

/// A service whose calls show that the stage before it has passed a batch on. Changes nothing.
#[derive(Clone, Debug)]
pub struct Tap<S> {
    inner: S,
    stage: Arc<Stage>,
}

impl<S: Service<Batch>> Service<Batch> for Tap<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, batch: Batch) -> S::Future {
        self.stage.passed(crate::metrics::count(batch.samples()), batch.watermark);
        self.inner.call(batch)
    }
}
