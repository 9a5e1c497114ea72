//! One exporter's queue.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pdata::{Batch, KTime, Watermark};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tower::Service;
use tracing::{error, info, warn};

use super::Settings;
use super::driver::{Driver, Queued, Shared};
use super::owed::Owed;
use crate::metrics::{BranchMetrics, count};

/// The fan-out's end of a branch.
#[derive(Debug)]
pub(super) struct Branch {
    name: Arc<str>,
    queue: mpsc::Sender<Queued>,
    /// Permits for the bytes that still fit.
    room: Arc<Semaphore>,
    capacity: u32,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    metrics: BranchMetrics,
    /// Watermark of the last batch that was queued.
    queued: Watermark,
    /// Watermark of the last batch that was dropped.
    dropped: Watermark,
    /// What was lost with the batches dropped since the last one that was queued.
    owed: Owed,
    /// What has been answered: it must not go back.
    answered: Watermark,
    /// True from the first batch that is dropped until the queue is half empty: one line says so, not one
    /// a batch, nor one each time that a small batch finds room between large ones.
    is_full: bool,
}

impl Branch {
    pub(super) fn spawn<S>(name: &str, service: S, settings: Settings) -> Self
    where
        S: Service<Batch, Response = Watermark> + Send + 'static,
        S::Error: Display + Send,
        S::Future: Send,
    {
        let name: Arc<str> = name.into();
        let capacity = u32::try_from(settings.queue_bytes.max(1)).unwrap_or(u32::MAX);
        let bytes = capacity as usize;
        // Every batch takes at least one permit, so a slot is always left for the last one.
        let (queue, receiver) = mpsc::channel(bytes + 1);
        let shared = Arc::<Shared>::default();
        let metrics = BranchMetrics::new(&name, capacity);
        let task = tokio::spawn(
            Driver::new(name.clone(), service, shared.clone(), metrics.clone(), settings.give_up_after)
                .run(receiver),
        );
        Self {
            name,
            queue,
            room: Arc::new(Semaphore::new(bytes)),
            capacity,
            shared,
            task,
            metrics,
            queued: Watermark::NONE,
            dropped: Watermark::NONE,
            owed: Owed::default(),
            answered: Watermark::NONE,
            is_full: false,
        }
    }

    /// Queues `batch`, of that many bytes, or drops and counts it.
    pub(super) fn offer(&mut self, mut batch: Batch, weight: usize) {
        // Before the batch takes its place: of an exporter that keeps up, nothing is queued then.
        self.metrics.queue_size.set(f64::from(self.used()));
        let (watermark, samples) = (batch.watermark, count(batch.samples()));
        let bytes = u32::try_from(weight).unwrap_or(u32::MAX).min(self.capacity);
        let room = self.room.clone().try_acquire_many_owned(bytes).ok().filter(|_| !self.is_dead());
        self.note_full(room.is_some());
        let Some(room) = room else {
            self.owed.note(&batch, self.queued.max(self.dropped));
            self.dropped = watermark;
            self.metrics.enqueue_failed.increment(samples);
            return;
        };
        self.owed.pay(&mut batch);
        self.queued = watermark;
        self.send(Queued { batch, _room: Some(room) }, samples);
    }

    /// The exporter's word, or more where what it has not seen was dropped. Never goes back.
    pub(super) fn acknowledged(&mut self) -> Watermark {
        if self.is_dead() {
            return Watermark::END;
        }
        let nanos = self.shared.acknowledged.load(Ordering::Acquire);
        let exported = Watermark::before(KTime::from_nanos(nanos));
        // A dropped batch is done with once everything queued before it is.
        let now = if exported >= self.queued { exported.max(self.dropped) } else { exported };
        self.answered = self.answered.max(now);
        self.answered
    }

    /// True if the task has ended before the stream did: the exporter panicked.
    pub(super) fn is_dead(&self) -> bool {
        self.queue.is_closed()
    }

    /// Queues the last batch, which is never dropped.
    pub(super) fn end(&mut self, mut batch: Batch) {
        self.owed.pay(&mut batch);
        let samples = count(batch.samples());
        self.send(Queued { batch, _room: None }, samples);
    }

    fn send(&mut self, queued: Queued, samples: u64) {
        // Counted first: the task may be done with the batch before `try_send` is back.
        self.shared.samples.fetch_add(samples, Ordering::Relaxed);
        // There is a slot for every permit and one for the last batch, so an error means that the task is gone:
        // `finished` counts what it left behind.
        let _gone = self.queue.try_send(queued);
    }

    /// Waits until the exporter has finished the stream; gives up on what is left at `deadline`.
    pub(super) async fn finished(mut self, deadline: Instant) {
        let reason = match timeout_at(deadline, &mut self.task).await {
            Ok(Ok(())) => None,
            Ok(Err(_panicked)) => Some("panic"),
            Err(_late) => {
                self.task.abort();
                Some("shutdown")
            }
        };
        if let Some(reason) = reason {
            let samples = self.shared.samples.load(Ordering::Acquire);
            self.metrics.given_up(reason);
            self.metrics.send_failed.increment(samples);
            error!(exporter = %self.name, reason, dropped_samples = samples, "Exporter did not finish. Dropping data.");
        }
    }

    fn note_full(&mut self, queued: bool) {
        let exporter = &*self.name;
        if !queued && !self.is_full {
            self.is_full = true;
            match self.is_dead() {
                true => error!(exporter, "Exporter has stopped. Dropping its data."),
                false => warn!(exporter, "Sending queue is full. Dropping data."),
            }
        } else if queued && self.is_full && self.used() <= self.capacity / 2 {
            self.is_full = false;
            info!(exporter, "Sending queue has room again.");
        }
    }

    /// Bytes in the queue, what the exporter works on included.
    fn used(&self) -> u32 {
        self.capacity.saturating_sub(u32::try_from(self.room.available_permits()).unwrap_or(u32::MAX))
    }
}
