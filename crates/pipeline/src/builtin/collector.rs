//! The exporter of a built-in pipeline.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pdata::Batch;
use serde::Serialize;
use tower::service_fn;

use crate::components::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, stage};

/// A gatherer of a pipeline's batches, in memory and without waiting.
pub(crate) trait Collect: Send {
    /// Adds a batch.
    fn take(&mut self, batch: &Batch);
}

/// An exporter that hands each batch to a [`Collect`].
#[derive(Clone, Serialize)]
pub(crate) struct Collector {
    #[serde(skip)]
    collect: Arc<Mutex<dyn Collect>>,
}

impl Collector {
    /// Makes an exporter to `collect`.
    pub(crate) fn new(collect: Arc<Mutex<dyn Collect>>) -> Self {
        Self { collect }
    }

    fn lock(&self) -> MutexGuard<'_, dyn Collect + 'static> {
        // After a panic the batch is gathered in part, which is all that can be had of it.
        self.collect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExporterConfig for Collector {
    fn start(&self, _settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        let collector = self.clone();
        Ok(stage(service_fn(move |batch: Batch| {
            collector.lock().take(&batch);
            ready(Ok::<_, BoxError>(batch.watermark))
        })))
    }
}

impl PartialEq for Collector {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.collect, &other.collect)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}
