//! Intakes: an exporter's queue, and the end of it that takes batches.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use componentstatus::{Queue, Stage};
use pdata::{Batch, KTime, Watermark};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tower::Service;
use tracing::{error, info, warn};

use super::driver::{Driver, Queued, SinkProgress};
use super::settings::SinkBounds;
use super::unreported::Unreported;
use crate::metrics::SinkMetrics;

/// The end of the queue that batches are put into.
#[derive(Debug)]
pub(super) struct Intake {
    name: Arc<str>,
    stage: Arc<Stage>,
    queue: mpsc::Sender<Queued>,
    /// Permits for the bytes that still fit into the queue.
    room: Arc<Semaphore>,
    capacity: u32,
    shared: Arc<SinkProgress>,
    /// The exporter's task, until somebody waits for its end.
    task: Option<JoinHandle<()>>,
    /// A channel that is closed once the task is gone, and with it the exporter.
    gone: watch::Receiver<()>,
    metrics: SinkMetrics,
    /// Watermark of the last batch that was queued.
    forwarded: Watermark,
    /// Watermark of the last batch that was dropped.
    dropped: Watermark,
    /// The samples that were lost with the batches dropped since the last one that was queued.
    unreported: Unreported,
    /// The highest watermark that has been acked: it must not go back.
    acked: Watermark,
    /// True from the first batch that is dropped until the queue is half empty: one line is logged then, not one a
    /// batch, nor one each time that a small batch finds room between large ones.
    is_full: bool,
}

impl Intake {
    /// An intake, and the task behind it: the task drives the exporter that `service` becomes.
    pub(super) fn spawn<S>(
        stage: Arc<Stage>,
        service: impl Future<Output = S> + Send + 'static,
        settings: SinkBounds,
    ) -> Self
    where
        S: Service<Batch, Response = Watermark> + Send + 'static,
        S::Error: Display + Send,
        S::Future: Send,
    {
        let name = stage.id().clone();
        let capacity = u32::try_from(settings.queue_bytes.max(1)).unwrap_or(u32::MAX);
        let bytes = capacity as usize;
        // Every batch takes at least one permit, so a slot is always left for the last one.
        let (queue, receiver) = mpsc::channel(bytes + 1);
        let shared = Arc::<SinkProgress>::default();
        let metrics = SinkMetrics::new(&name, capacity);
        let driver = Driver::new(stage.clone(), shared.clone(), metrics.clone(), settings.give_up_after);
        let (alive, gone) = watch::channel(());
        let task = tokio::spawn(async move {
            // `_alive` is dropped after the exporter, however the task ends.
            let _alive = alive;
            driver.run(service.await, receiver).await;
        });
        Self {
            name,
            stage,
            queue,
            room: Arc::new(Semaphore::new(bytes)),
            capacity,
            shared,
            task: Some(task),
            gone,
            metrics,
            forwarded: Watermark::NONE,
            dropped: Watermark::NONE,
            unreported: Unreported::default(),
            acked: Watermark::NONE,
            is_full: false,
        }
    }

    /// Queues `batch`, of `weight` bytes, or drops and counts it.
    pub(super) fn offer(&mut self, mut batch: Batch, weight: usize) {
        // Shown before the batch takes its place: the queue of an exporter that keeps up is empty then.
        self.show_queue();
        let (watermark, samples) = (batch.watermark, batch.sample_count());
        let bytes = u32::try_from(weight).unwrap_or(u32::MAX).min(self.capacity);
        let room = self.room.clone().try_acquire_many_owned(bytes).ok().filter(|_| !self.is_dead());
        self.note_full(room.is_some());
        let Some(room) = room else {
            self.unreported.note(&batch, self.forwarded.max(self.dropped));
            self.dropped = watermark;
            self.count_dropped(samples);
            return;
        };
        self.unreported.report_in(&mut batch);
        self.forwarded = watermark;
        self.send(Queued { batch, _room: Some(room) }, samples);
    }

    /// Counts samples that the queue had no room for.
    pub(super) fn count_dropped(&self, samples: u64) {
        self.metrics.dropped.increment(samples);
        self.stage.dropped(samples);
    }

    /// Bytes that the queue holds at most.
    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// The watermark that the exporter has acked, or a later one if the batches behind it were dropped. Never goes
    /// back.
    pub(super) fn acked(&mut self) -> Watermark {
        if self.is_dead() {
            return Watermark::END;
        }
        let nanos = self.shared.acked.load(Ordering::Acquire);
        let exported = Watermark::before(KTime::from_nanos(nanos));
        // A dropped batch is done with once every batch queued before it is.
        let now = if exported >= self.forwarded { exported.max(self.dropped) } else { exported };
        self.acked = self.acked.max(now);
        self.acked
    }

    /// True if the task has ended before the stream did: the exporter panicked.
    pub(super) fn is_dead(&self) -> bool {
        self.queue.is_closed()
    }

    /// Queues the last batch, which is never dropped.
    pub(super) fn end(&mut self, mut batch: Batch) {
        self.unreported.report_in(&mut batch);
        let samples = batch.sample_count();
        self.send(Queued { batch, _room: None }, samples);
    }

    fn send(&mut self, queued: Queued, samples: u64) {
        // Samples are counted first: the task may be done with the batch before `try_send` is back.
        self.shared.samples.fetch_add(samples, Ordering::Relaxed);
        // There is a slot for every permit and one for the last batch, so an error means that the task is gone:
        // `count_unfinished` counts what it left behind.
        let _gone = self.queue.try_send(queued);
    }

    /// Takes the task, for a caller who waits for its end.
    pub(super) fn take_task(&mut self) -> Option<JoinHandle<()>> {
        self.task.take()
    }

    /// A channel that is closed once the task is gone.
    pub(super) fn gone(&self) -> watch::Receiver<()> {
        self.gone.clone()
    }

    /// Counts the samples that the task, which is gone, has left behind.
    pub(super) fn count_unfinished(&self, reason: &'static str) {
        let dropped_samples = self.shared.samples.load(Ordering::Acquire);
        self.metrics.given_up(reason);
        self.metrics.given_up_samples.increment(dropped_samples);
        self.stage.status().failed(&format!("did not finish: {reason}"));
        error!(exporter = %self.name, reason, dropped_samples, "Exporter did not finish. Dropping data.");
    }

    fn show_queue(&self) {
        let used = self.used();
        self.metrics.queue.set(f64::from(used));
        self.stage.queue(Queue { used_bytes: used.into(), capacity_bytes: self.capacity.into() });
    }

    fn note_full(&mut self, queued: bool) {
        let exporter = &*self.name;
        if !queued && !self.is_full {
            self.is_full = true;
            match self.is_dead() {
                true => error!(exporter, "Exporter has stopped. Dropping its data."),
                false => warn!(exporter, "Queue of the exporter is full. Dropping data."),
            }
        } else if queued && self.is_full && self.used() <= self.capacity / 2 {
            self.is_full = false;
            info!(exporter, "Queue of the exporter has room again.");
        }
    }

    /// Bytes in the queue, the batch that the exporter works on included.
    fn used(&self) -> u32 {
        self.capacity.saturating_sub(u32::try_from(self.room.available_permits()).unwrap_or(u32::MAX))
    }
}
