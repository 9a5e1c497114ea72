//! One stage to many, none of which can hold up another.
//!
//! ```text
//! call(batch) --+--> queue --> task: ready, call --> exporter
//!               +--> queue --> task: ready, call --> exporter
//!    <--- least of what each has acknowledged so far (at once; the answers to this batch come with a later one)
//! ```
//!
//! A batch that does not fit into an exporter's queue is dropped for that exporter alone, and counted.

mod branch;
mod driver;
mod ledger;
mod owed;
#[cfg(test)]
mod tests;
mod weight;

use std::fmt::Display;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pdata::{Batch, Watermark};
use thiserror::Error;
use tokio::time::Instant;
use tower::Service;

use branch::Branch;
use weight::weight;

/// Most memory queued for one exporter: half a minute of two CPUs at 997 samples a second.
const DEFAULT_QUEUE_BYTES: usize = 64 << 20;
/// Longest an exporter may take to become ready and answer.
const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// Longest that exporters may take to finish at the end of the stream.
const DEFAULT_DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Bounds on what a slow exporter can cost.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Most bytes of batches queued for one exporter, the one it works on included. A batch that is
    /// larger fits into an empty queue.
    pub queue_bytes: usize,
    /// A call that takes longer is cancelled, and what it was about is given up.
    pub give_up_after: Duration,
    /// At the end of the stream, what an exporter has not finished after this time is given up.
    pub drain_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_bytes: DEFAULT_QUEUE_BYTES,
            give_up_after: DEFAULT_GIVE_UP_AFTER,
            drain_within: DEFAULT_DRAIN_WITHIN,
        }
    }
}

/// Every exporter is gone: there is nobody left to work for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("every exporter has stopped")]
pub struct NoBranchLeft;

/// Passes each batch on to every branch.
///
/// Always ready: back-pressure would make the slowest exporter rule over the others, and stop the
/// reading of the kernel's rings.
#[derive(Debug)]
pub struct FanOut {
    settings: Settings,
    branches: Vec<Branch>,
    ended: bool,
}

impl FanOut {
    /// A fan-out with no branch yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, branches: Vec::new(), ended: false }
    }

    /// Adds a branch that ends in `service`, named in metrics and log lines.
    ///
    /// # Panics
    /// Outside a Tokio runtime: each branch has a task of its own.
    #[must_use]
    pub fn branch<S>(mut self, name: &str, service: S) -> Self
    where
        S: Service<Batch, Response = Watermark> + Send + 'static,
        S::Error: Display + Send,
        S::Future: Send,
    {
        self.branches.push(Branch::spawn(name, service, self.settings));
        self
    }

    /// Flushes every branch, and waits for all of them until the deadline.
    fn end(&mut self, batch: &Batch) -> impl Future<Output = ()> + Send + use<> {
        self.ended = true;
        let deadline = Instant::now() + self.settings.drain_within;
        let mut branches = mem::take(&mut self.branches);
        // All are told before any is waited for: they finish side by side.
        branches.iter_mut().for_each(|branch| branch.end(batch.clone()));
        async move {
            for branch in branches {
                branch.finished(deadline).await;
            }
        }
    }
}

impl Service<Batch> for FanOut {
    type Response = Watermark;
    type Error = NoBranchLeft;
    type Future = Pin<Box<dyn Future<Output = Result<Watermark, NoBranchLeft>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), NoBranchLeft>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        if self.ended {
            return Box::pin(async { Ok(Watermark::END) });
        }
        if batch.watermark == Watermark::END {
            let end = self.end(&batch);
            return Box::pin(async {
                end.await;
                Ok(Watermark::END)
            });
        }
        let weight = weight(&batch);
        self.branches.iter_mut().for_each(|branch| branch.offer(batch.clone(), weight));
        let answer = if self.branches.iter().all(Branch::is_dead) {
            Err(NoBranchLeft)
        } else {
            // A dead branch acknowledges everything, so that it holds nothing up.
            Ok(self.branches.iter_mut().map(Branch::acknowledged).min().unwrap_or(Watermark::NONE))
        };
        Box::pin(async move { answer })
    }
}
