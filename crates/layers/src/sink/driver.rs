//! The task that drives one exporter.

use std::fmt::Display;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use componentstatus::Stage;
use pdata::{Batch, Watermark};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tower::{Service, ServiceExt as _};
use tracing::error;

use super::ledger::Ledger;
use super::unreported::Unreported;
use crate::metrics::SinkMetrics;

/// The progress that an exporter's task reports to the intake.
#[derive(Debug, Default)]
pub(super) struct SinkProgress {
    /// Highest watermark that the exporter has acked, nanoseconds.
    pub(super) acked: AtomicU64,
    /// Samples queued and not acked.
    pub(super) samples: AtomicU64,
}

/// A batch, and the room it takes until it has been answered.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) batch: Batch,
    /// The room that the batch takes; `None` for the last batch, which always fits.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// The task's end of the queue.
pub(super) struct Driver {
    stage: Arc<Stage>,
    shared: Arc<SinkProgress>,
    ledger: Ledger,
    metrics: SinkMetrics,
    give_up_after: Duration,
    /// Watermark of the last batch that was taken from the queue.
    forwarded: Watermark,
    /// The samples that were lost with the batches that the exporter never got ready for.
    unreported: Unreported,
    /// True if the last call failed.
    is_failing: bool,
}

impl Driver {
    /// A driver of the exporter `stage`, which records its progress in `shared`.
    pub(super) fn new(
        stage: Arc<Stage>,
        shared: Arc<SinkProgress>,
        metrics: SinkMetrics,
        give_up_after: Duration,
    ) -> Self {
        Self {
            stage,
            shared,
            metrics,
            give_up_after,
            ledger: Ledger::default(),
            forwarded: Watermark::NONE,
            unreported: Unreported::default(),
            is_failing: false,
        }
    }

    /// Drives the exporter, one batch at a time and in order, until the stream ends.
    pub(super) async fn run<S>(mut self, mut service: S, mut queue: mpsc::Receiver<Queued>)
    where
        S: Service<Batch, Response = Watermark>,
        S::Error: Display,
    {
        // `_room` lives to the end of the loop's turn: a batch counts as queued until it has been answered.
        while let Some(Queued { batch, _room }) = queue.recv().await {
            let until = batch.watermark;
            let samples = batch.sample_count();
            self.ledger.forward(until, samples);
            let answer = self.call(&mut service, batch).await;
            self.stage.forwarded(samples, until);
            match answer {
                // No exporter can be done with a batch that has not been forwarded to it yet.
                Some(answer) if until != Watermark::END => {
                    self.acknowledge(answer.min(until));
                }
                Some(_) => {
                    self.acknowledge(until);
                }
                None => {
                    let samples = self.acknowledge(until);
                    self.metrics.given_up_samples.increment(samples);
                }
            }
            if until == Watermark::END {
                return;
            }
        }
    }

    /// The exporter's answer; `None` if it gave no answer in time, which is then counted and logged.
    async fn call<S>(&mut self, service: &mut S, mut batch: Batch) -> Option<Watermark>
    where
        S: Service<Batch, Response = Watermark>,
        S::Error: Display,
    {
        let deadline = Instant::now() + self.give_up_after;
        let since = mem::replace(&mut self.forwarded, batch.watermark);
        let ready = async { service.ready().await.map(|_service| ()) };
        let ready = timeout_at(deadline, ready).await;
        if self.outcome(ready).is_none() {
            // The exporter has not received this batch. Of a batch that it has received, it reports the losses or
            // delivers the samples itself.
            self.unreported.note(&batch, since);
            return None;
        }
        self.unreported.report_in(&mut batch);
        let answer = timeout_at(deadline, service.call(batch)).await;
        let answer = self.outcome(answer)?;
        self.is_failing = false;
        Some(answer)
    }

    /// The exporter's result, if it came in time and is no error; else the failure is counted and logged.
    fn outcome<T, E: Display>(&mut self, result: Result<Result<T, E>, Elapsed>) -> Option<T> {
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

    /// Logs one line for the first failure of a row: the metric counts them all.
    fn note_failing(&mut self, error: &dyn Display) {
        self.stage.status().failed(error);
        if !mem::replace(&mut self.is_failing, true) {
            error!(exporter = %self.stage.id(), %error, "Exporting failed. Dropping data.");
        }
    }

    fn acknowledge(&mut self, answer: Watermark) -> u64 {
        let samples = self.ledger.acknowledge(answer);
        self.shared.samples.fetch_sub(samples, Ordering::Release);
        self.stage.acked(self.ledger.acked());
        self.shared.acked.store(self.ledger.acked().at().as_nanos(), Ordering::Release);
        samples
    }
}
