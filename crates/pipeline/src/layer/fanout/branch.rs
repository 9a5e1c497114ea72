//! One exporter: its queue, and the task that drives it.

use std::fmt::Display;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pdata::{Batch, KTime, Watermark};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tower::{Service, ServiceExt as _};
use tracing::{error, info, warn};

use super::Settings;
use super::ledger::Ledger;
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

/// What the task tells the fan-out.
#[derive(Debug, Default)]
struct Shared {
    /// Highest watermark the exporter has acknowledged, nanoseconds.
    acknowledged: AtomicU64,
    /// Samples queued and not acknowledged.
    samples: AtomicU64,
}

/// A batch, and the room it takes until it has been answered.
#[derive(Debug)]
struct Queued {
    batch: Batch,
    /// `None` for the last batch, which always fits.
    _room: Option<OwnedSemaphorePermit>,
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
            Driver {
                name: name.clone(),
                service,
                shared: shared.clone(),
                ledger: Ledger::default(),
                metrics: metrics.clone(),
                give_up_after: settings.give_up_after,
                seen: Watermark::NONE,
                owed: Owed::default(),
                is_failing: false,
            }
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

/// The task's end of a branch.
struct Driver<S> {
    name: Arc<str>,
    service: S,
    shared: Arc<Shared>,
    ledger: Ledger,
    metrics: BranchMetrics,
    give_up_after: Duration,
    /// Watermark of the last batch that was taken from the queue.
    seen: Watermark,
    /// What was lost with the batches that the exporter never got ready for.
    owed: Owed,
    /// True if the last call failed.
    is_failing: bool,
}

impl<S> Driver<S>
where
    S: Service<Batch, Response = Watermark>,
    S::Error: Display,
{
    /// Drives the exporter, one batch at a time and in order, until the stream ends.
    async fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        // `_room` lives to the end of the turn: a batch counts as queued until it has been answered.
        while let Some(Queued { batch, _room }) = queue.recv().await {
            let through = batch.watermark;
            self.ledger.give(through, count(batch.samples()));
            match self.call(batch).await {
                // Nobody can be done with what it has not been given yet.
                Some(answer) if through != Watermark::END => {
                    self.acknowledge(answer.min(through));
                }
                Some(_) => {
                    self.acknowledge(through);
                }
                None => {
                    let samples = self.acknowledge(through);
                    self.metrics.send_failed.increment(samples);
                }
            }
            if through == Watermark::END {
                return;
            }
        }
    }

    /// The exporter's answer; `None` if there was none, which is then counted and logged.
    async fn call(&mut self, mut batch: Batch) -> Option<Watermark> {
        let deadline = Instant::now() + self.give_up_after;
        let since = mem::replace(&mut self.seen, batch.watermark);
        let ready = async { self.service.ready().await.map(|_service| ()) };
        let ready = timeout_at(deadline, ready).await;
        if self.outcome(ready).is_none() {
            // It has not seen the batch. One that it has seen is its own to tell of, or still to deliver.
            self.owed.note(&batch, since);
            return None;
        }
        self.owed.pay(&mut batch);
        let answer = timeout_at(deadline, self.service.call(batch)).await;
        let answer = self.outcome(answer)?;
        self.is_failing = false;
        Some(answer)
    }

    /// What the exporter has said in time; counted and logged if it is nothing good.
    fn outcome<T>(&mut self, result: Result<Result<T, S::Error>, Elapsed>) -> Option<T> {
        match result {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                self.metrics.given_up("error");
                self.note_failing(&error);
                None
            }
            Err(_elapsed) => {
                self.metrics.given_up("timeout");
                self.note_failing(&format!("no answer within {:?}", self.give_up_after));
                None
            }
        }
    }

    /// One line for the first failure of a row: the metric counts them all.
    fn note_failing(&mut self, error: &dyn Display) {
        if !mem::replace(&mut self.is_failing, true) {
            error!(exporter = %self.name, %error, "Exporting failed. Dropping data.");
        }
    }

    fn acknowledge(&mut self, answer: Watermark) -> u64 {
        let samples = self.ledger.acknowledge(answer);
        self.shared.samples.fetch_sub(samples, Ordering::Release);
        self.shared.acknowledged.store(self.ledger.acknowledged().at().as_nanos(), Ordering::Release);
        samples
    }
}
