//! Fan-out: one stage to many exporters, none of which can hold up another.
//!
//! ```text
//! call(batch) --+--> Sink of an exporter: queue, task
//!               +--> Sink of another
//!    <--- least of what each has acknowledged so far (at once; the answers to this batch come with a later one)
//! ```
//!
//! The exporters that a fan-out leads to can be changed between two batches, while it runs: see [`Outlets::swap`].

#[cfg(test)]
mod tests;

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pdata::{Batch, ClockOffset, Watermark};
use thiserror::Error;
use tokio::time::Instant;
use tower::Service;

use super::sink::{Inlet, Sink, weight};

/// The error of a fan-out whose exporters are all gone: there is nobody left to work for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("every exporter has stopped")]
pub struct NoBranchLeft;

/// Passes each batch on to every exporter.
///
/// Always ready: back-pressure would make the slowest exporter rule over the others, and stop the
/// reading of the kernel's rings.
#[derive(Debug)]
pub struct FanOut {
    outlets: Outlets,
}

/// The exporters that a [`FanOut`] leads to.
#[derive(Clone, Debug)]
pub struct Outlets(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    open: Vec<Inlet>,
    /// Exporters that have been swapped out, and the last watermark that this fan-out forwarded to each.
    leaving: Vec<(Inlet, Watermark)>,
    /// Watermark of the last batch.
    forwarded: Watermark,
    /// Highest watermark that this fan-out has answered.
    acked: Watermark,
    /// Clock offset of the last batch.
    clock: ClockOffset,
    drain_within: Duration,
    /// True if the end of the stream is acked when the exporters have finished; false if at once.
    waits: bool,
    ended: bool,
}

impl FanOut {
    /// A fan-out to the exporters behind `open`. At the end of the stream, samples that an exporter has not finished
    /// after `drain_within` are given up.
    #[must_use]
    pub fn new(open: Vec<Inlet>, drain_within: Duration) -> Self {
        let state = State {
            open,
            leaving: Vec::new(),
            forwarded: Watermark::NONE,
            acked: Watermark::NONE,
            clock: ClockOffset::default(),
            drain_within,
            waits: true,
            ended: false,
        };
        Self { outlets: Outlets(Arc::new(Mutex::new(state))) }
    }

    /// The outlets of the fan-out, by which others can change them while it runs.
    #[must_use]
    pub fn outlets(&self) -> Outlets {
        self.outlets.clone()
    }
}

impl Outlets {
    /// Ends, between two batches, the streams of the exporters of which `leaves` is true, and adds `new` ones. Each
    /// batch thus goes to all old exporters or to all new ones. Exporters that leave have `drain_within` to finish;
    /// until they have, batches that they have not acked hold this fan-out's answer back.
    pub fn swap(&self, leaves: impl Fn(&Arc<Sink>) -> bool, new: Vec<Inlet>) {
        let state = &mut *self.state();
        if state.ended {
            return;
        }
        let (gone, stay): (Vec<_>, Vec<_>) =
            mem::take(&mut state.open).into_iter().partition(|inlet| leaves(inlet.sink()));
        state.open = stay;
        state.open.extend(new);
        let deadline = Instant::now() + state.drain_within;
        for inlet in gone {
            inlet.end(last(state.clock));
            // If the exporter's stream has not ended, another pipeline still sends to it.
            if inlet.sink().has_ended() {
                let sink = Arc::clone(inlet.sink());
                tokio::spawn(async move { sink.finish(deadline).await });
            }
            state.leaving.push((inlet, state.forwarded));
        }
    }

    /// Sets the time that exporters may take to finish.
    pub fn drain_within(&self, drain_within: Duration) {
        self.state().drain_within = drain_within;
    }

    /// Has the end of the stream acked at once, while exporters finish in the background: for a swap, after which
    /// others wait to go on.
    pub fn leave_behind(&self) {
        self.state().waits = false;
    }

    /// True if the fan-out leads to this exporter.
    #[must_use]
    pub fn leads_to(&self, sink: &Arc<Sink>) -> bool {
        self.state().open.iter().any(|inlet| Arc::ptr_eq(inlet.sink(), sink))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic happens while the state is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that only ends the stream.
fn last(clock: ClockOffset) -> Batch {
    Batch { events: Arc::default(), watermark: Watermark::END, clock, ..Batch::default() }
}

impl State {
    /// Passes a batch on, and answers with the least watermark that all exporters have acked.
    fn pass(&mut self, batch: &Batch) -> Result<Watermark, NoBranchLeft> {
        self.clock = batch.clock;
        self.forwarded = batch.watermark;
        let weight = weight(batch);
        self.open.iter().for_each(|inlet| inlet.offer(batch.clone(), weight));
        // Another pipeline may send to a leaving exporter for ever: only batches forwarded to it from here count.
        self.leaving.retain(|(inlet, last)| inlet.acked() < *last);
        if self.open.iter().all(|inlet| inlet.sink().is_gone()) {
            return Err(NoBranchLeft);
        }
        // An exporter that is gone acks everything, so that it holds nothing up.
        let inlets = self.open.iter().chain(self.leaving.iter().map(|(inlet, _)| inlet));
        let least = inlets.map(Inlet::acked).min().unwrap_or(Watermark::NONE);
        // A new exporter has acked nothing yet, and earlier batches are no concern of it.
        self.acked = self.acked.max(least);
        Ok(self.acked)
    }

    /// Ends every stream; the future waits for the exporters until the deadline.
    fn end(&mut self, batch: &Batch) -> impl Future<Output = ()> + Send + use<> {
        self.ended = true;
        let deadline = Instant::now() + self.drain_within;
        // All exporters receive the end before any is waited for: they finish side by side.
        self.open.iter().for_each(|inlet| inlet.end(batch.clone()));
        let leaving = mem::take(&mut self.leaving).into_iter().map(|(inlet, _)| inlet);
        let inlets = mem::take(&mut self.open).into_iter().chain(leaving);
        let sinks: Vec<_> =
            inlets.map(|inlet| Arc::clone(inlet.sink())).filter(|sink| sink.has_ended()).collect();
        let finish = async move {
            for sink in sinks {
                sink.finish(deadline).await;
            }
        };
        let waits = self.waits;
        let finish = tokio::spawn(finish);
        async move {
            if waits {
                // The task does not panic, and nobody aborts it.
                let _finished = finish.await;
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
        let mut state = self.outlets.state();
        if state.ended {
            return Box::pin(async { Ok(Watermark::END) });
        }
        if batch.watermark == Watermark::END {
            let end = state.end(&batch);
            return Box::pin(async {
                end.await;
                Ok(Watermark::END)
            });
        }
        let answer = state.pass(&batch);
        Box::pin(async move { answer })
    }
}
