//! The component as a tower layer.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use componentstatus::Status;
use pdata::{Batch, KTime, Resource, Watermark};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::config::Config;
use crate::reader::ReaderThreads;
use crate::request::{ReadRequest, Reads};
use crate::sources::Users;
use crate::tracker::{Repairs, Tracker};
use crate::{host, metrics, resource_attributes};
use k8s::PodChanges;
use procfs::{Identify, ProcSource, clock};

/// Changes of pods taken in with one batch at most: the others wait for the next.
const CHANGES: usize = 4096;

/// Makes services that attribute samples to images.
#[derive(Clone, Debug)]
pub struct ProcInfoLayer {
    config: Config,
    status: Arc<Status>,
    source: ProcSource,
    kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl ProcInfoLayer {
    /// A layer of that configuration, which has been validated.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), status: Arc::default(), source: ProcSource::new("/proc"), kept: None }
    }

    /// Sets the status that shows which files cannot be read.
    #[must_use]
    pub fn shows(self, status: Arc<Status>) -> Self {
        Self { status, ..self }
    }

    /// Sets the check by which the kernel verifies the files that are read, against the identities that samples bring.
    #[must_use]
    pub fn verified_by(self, identify: Arc<dyn Identify>) -> Self {
        Self { source: self.source.verified_by(identify), ..self }
    }

    /// Keeps `kept` for as long as the service lives, such as the order to the kernel side to pass on
    /// [`Config::variables`].
    #[must_use]
    pub fn keeping(self, kept: impl Any + Send + Sync) -> Self {
        Self { kept: Some(Arc::new(kept)), ..self }
    }
}

impl<S> Layer<S> for ProcInfoLayer {
    type Service = ProcInfo<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProcInfo::new(self, inner)
    }
}

/// Attributes each sample to its image, and passes batches on in the order in which they came.
///
/// Process events are remembered and passed on too. A process that has exited is held until the inner service has acked
/// its end, so that late samples find it. The batch's watermark and the acked watermark travel unchanged; a batch that
/// ends in an error counts as acked, since nothing will ask about it again.
#[derive(Debug)]
pub struct ProcInfo<S> {
    inner: S,
    tracker: Tracker,
    resource: Arc<Resource>,
    repairs: Repairs,
    reads: ReaderIfAny,
    acked: Acked,
    pods: Option<PodChanges>,
    _kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl<S> ProcInfo<S> {
    fn new(layer: &ProcInfoLayer, inner: S) -> Self {
        metrics::describe();
        let reads = ReaderIfAny(
            ReaderThreads::start(layer.source.clone(), Arc::clone(&layer.status), &layer.config.variables())
                .inspect_err(|error| {
                    tracing::warn!(%error, "No thread to read files with: samples will have no build IDs from files.");
                })
                .ok(),
        );
        let users = procfs::read_host_file("etc/passwd").map(|passwd| Users::parse(&passwd));
        let tracker = Tracker::new(&layer.config, users.unwrap_or_default());
        let resource = Arc::new(host::detect(&layer.config.resource));
        let (repairs, acked, kept) = (Repairs::default(), Acked::default(), layer.kept.clone());
        let pods = layer.config.k8s.as_ref().and_then(|config| {
            k8s::watch(config, resource_attributes::is_of_an_annotation)
                .inspect_err(|error| {
                    tracing::warn!(%error, "Nobody can be asked about pods: they will have no names.");
                })
                .ok()
        });
        Self { inner, tracker, resource, repairs, reads, acked, pods, _kept: kept }
    }
}

impl<S> Service<Batch> for ProcInfo<S>
where
    S: Service<Batch, Response = Watermark>,
{
    type Response = Watermark;
    type Error = S::Error;
    type Future = Acknowledging<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut batch: Batch) -> Self::Future {
        self.tracker.acknowledge(self.acked.get());
        if let Some(pods) = &mut self.pods {
            let changes = std::iter::from_fn(|| pods.try_next()).take(CHANGES);
            if self.tracker.learn_of_pods(changes, clock::now()) {
                pods.list_again();
            }
        }
        self.tracker.apply(&mut batch, &mut self.reads);
        while let Some(answer) = self.reads.0.as_ref().and_then(ReaderThreads::answer) {
            self.repairs.push(answer);
        }
        self.repairs.apply(batch.watermark, &mut self.tracker);
        self.tracker.limit();
        self.tracker.publish();
        batch.resource = Arc::clone(&self.resource);
        let watermark = batch.watermark;
        Acknowledging { answer: self.inner.call(batch), acked: self.acked.clone(), watermark }
    }
}

/// The reading threads, if the system had any to give. Without them nothing is read, and all else works.
#[derive(Debug)]
struct ReaderIfAny(Option<ReaderThreads>);

impl Reads for ReaderIfAny {
    fn ask(&mut self, request: ReadRequest) -> bool {
        self.0.as_mut().is_some_and(|reader| reader.ask(request))
    }
}

/// The highest watermark that the inner service has acked. It is written where an ack arrives, and read at the next
/// call: that is soon enough, and nobody waits for a lock.
#[derive(Clone, Debug, Default)]
struct Acked(Arc<AtomicU64>);

impl Acked {
    fn get(&self) -> Watermark {
        Watermark::before(KTime::from_nanos(self.0.load(Ordering::Relaxed)))
    }

    fn raise(&self, to: Watermark) {
        // Relaxed: the number is all there is to see.
        self.0.fetch_max(to.at().as_nanos(), Ordering::Relaxed);
    }
}

pin_project! {
    /// The inner service's future, which notes the acked watermark on its way back.
    #[derive(Debug)]
    pub struct Acknowledging<F> {
        #[pin]
        answer: F,
        acked: Acked,
        watermark: Watermark,
    }
}

impl<F, E> Future for Acknowledging<F>
where
    F: Future<Output = Result<Watermark, E>>,
{
    type Output = Result<Watermark, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        this.acked.raise(*answer.as_ref().unwrap_or(this.watermark));
        Poll::Ready(answer)
    }
}
