//! The component as a tower layer.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use debuginfod::Debuginfod;
use pdata::{Batch, Watermark};
use procfs::{Identify, ListSymbols, ProcSource};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;
use tower::{Layer, Service};

use crate::config::Config;
use crate::hold::{Acked, Hold, Incoming, Lookups};
use crate::metrics;
use crate::names::Names;
use crate::resolver::{Resolver, Sources, memory_of_names};

/// The most batches on their way to the task that holds them.
const ON_THEIR_WAY: usize = 8;

/// An error of the stage after this one.
type BoxError = Box<dyn Error + Send + Sync>;

/// The stage does not work any more. The error that stopped it has been returned before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the symbolizer has stopped")]
pub struct StoppedError;

/// Makes services that name frames.
#[derive(Clone, Debug)]
pub struct SymbolizerLayer {
    config: Config,
    source: ProcSource,
    list: Option<Arc<dyn ListSymbols>>,
    debuginfod: Option<Arc<Debuginfod>>,
}

impl SymbolizerLayer {
    /// A layer of that configuration, which has been validated.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), source: ProcSource::new("/proc"), list: None, debuginfod: None }
    }

    /// Sets the check by which the kernel verifies the files that are opened, against the identities that samples
    /// bring.
    #[must_use]
    pub fn verified_by(self, identify: Arc<dyn Identify>) -> Self {
        Self { source: self.source.verified_by(identify), ..self }
    }

    /// Sets the source of the kernel's symbols where `/proc/kallsyms` hides their addresses.
    #[must_use]
    pub fn lists_symbols_by(self, list: Arc<dyn ListSymbols>) -> Self {
        Self { list: Some(list), ..self }
    }

    /// Starts to fetch debug files from servers, if the configuration wants it.
    ///
    /// # Errors
    /// If no server is named, or the directory for the files cannot be used.
    pub fn fetches_debug_files(self) -> Result<Self, debuginfod::StartError> {
        let debuginfod = self.config.debuginfod.as_ref().map(Debuginfod::start).transpose()?;
        Ok(Self { debuginfod, ..self })
    }
}

impl<S> Layer<S> for SymbolizerLayer
where
    S: Service<Batch, Response = Watermark, Error: Into<BoxError> + Send, Future: Send> + Send + 'static,
{
    type Service = Symbolizer;

    /// Makes the stage. Must be called within a Tokio runtime.
    fn layer(&self, inner: S) -> Symbolizer {
        metrics::describe();
        let sources = Sources {
            proc: self.source.clone(),
            list: self.list.clone(),
            debuginfod: self.debuginfod.clone(),
        };
        let lookups = Resolver::start(&self.config, sources)
            .inspect_err(|error| {
                tracing::warn!(%error, "No thread to read files with: frames will have no names.");
            })
            .map(|(resolver, answers)| Lookups { resolver, answers });
        Symbolizer::new(&self.config, inner, lookups.ok())
    }
}

/// Names frames, and passes batches on in the order they came.
///
/// A batch is held until its names are there, at most for [`Config::timeout`]. A batch is therefore acked with the
/// highest watermark that the inner service has acked so far; the end of the stream is acked by the inner service
/// itself. An error of the inner service ends the stage, and the next call returns it.
pub struct Symbolizer {
    incoming: PollSender<Incoming>,
    acked: Acked,
    failure: Failure,
}

/// The error that the stage ended with, until somebody has taken it.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<BoxError>>>);

impl Failure {
    fn set(&self, error: BoxError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn take(&self) -> BoxError {
        let error = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        error.unwrap_or_else(|| StoppedError.into())
    }
}

impl Symbolizer {
    pub(crate) fn new<S>(config: &Config, inner: S, lookups: Option<Lookups>) -> Self
    where
        S: Service<Batch, Response = Watermark, Error: Into<BoxError> + Send, Future: Send> + Send + 'static,
    {
        let (sender, incoming) = mpsc::channel(ON_THEIR_WAY);
        let (acked, failure) = (Acked::default(), Failure::default());
        let names = Names::new(memory_of_names(config));
        let mut hold = Hold {
            inner,
            incoming,
            lookups,
            names,
            acked: acked.clone(),
            timeout: config.timeout,
            kernel_checked: tokio::time::Instant::now(),
        };
        let failed = failure.clone();
        tokio::spawn(async move {
            if let Err(error) = hold.run().await {
                // The failure is set before `hold` is dropped, which its senders take for its end.
                failed.set(error.into());
            }
        });
        Self { incoming: PollSender::new(sender), acked, failure }
    }
}

impl fmt::Debug for Symbolizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbolizer").field("acked", &self.acked).finish_non_exhaustive()
    }
}

impl Service<Batch> for Symbolizer {
    type Response = Watermark;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Watermark, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let reserved = ready!(self.incoming.poll_reserve(cx));
        Poll::Ready(reserved.map_err(|_closed| self.failure.take()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let failure = self.failure.clone();
        let (reply, answer) = if batch.watermark == Watermark::END {
            let (reply, answer) = oneshot::channel();
            (Some(reply), Some(answer))
        } else {
            (None, None)
        };
        let sent = self.incoming.send_item(Incoming { batch, reply });
        let acked = self.acked.get();
        Box::pin(async move {
            sent.map_err(|_closed| failure.take())?;
            match answer {
                None => Ok(acked),
                Some(answer) => answer.await.map_err(|_dropped| failure.take()),
            }
        })
    }
}
