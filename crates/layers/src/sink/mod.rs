//! Sinks: an exporter in the graph, with a queue of its own and the task behind it, so that it can hold up nobody.
//!
//! ```text
//! fan-out of one pipeline ----Inlet--+--> merge --> queue --> task: ready, call --> exporter
//! fan-out of another pipeline -Inlet-+
//!    <--- what the exporter has acknowledged so far
//! ```
//!
//! A batch that does not fit into the queue is dropped, and counted.

mod driver;
mod intake;
mod ledger;
mod merge;
mod settings;
mod unreported;
mod weight;

use std::fmt::Display;
use std::future::Future;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use componentstatus::Stage;
use pdata::{Batch, Watermark};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use intake::Intake;
use merge::{Input, Merge};
pub use settings::SinkBounds;
use unreported::Unreported;
pub(crate) use weight::weight;
use weight::weight_of;

/// A running exporter, which any number of fan-outs send to. The exporter's stream ends once all fan-outs have ended
/// theirs.
#[derive(Debug)]
pub struct Sink {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    merge: Merge,
    intake: Intake,
    /// True once the exporter has received the end of its stream.
    ended: bool,
}

impl Sink {
    /// Starts the task of an exporter; batches sent to it are queued until `service` has become one.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn<S>(
        stage: Arc<Stage>,
        service: impl Future<Output = S> + Send + 'static,
        settings: SinkBounds,
    ) -> Arc<Self>
    where
        S: Service<Batch, Response = Watermark> + Send + 'static,
        S::Error: Display + Send,
        S::Future: Send,
    {
        let intake = Intake::spawn(stage, service, settings);
        Arc::new(Self { state: Mutex::new(State { merge: Merge::default(), intake, ended: false }) })
    }

    /// Opens a new way into the exporter.
    pub fn open(self: &Arc<Self>) -> Inlet {
        let input = self.state().merge.open();
        Inlet { sink: Arc::clone(self), input }
    }

    /// Waits until the exporter has finished its stream, which must have been ended; gives up on the samples that are
    /// left at `deadline`.
    pub async fn finish(&self, deadline: Instant) {
        let (task, mut gone) = {
            let mut state = self.state();
            (state.intake.take_task(), state.intake.gone())
        };
        let Some(mut task) = task else {
            // Another caller waits already, no longer than that.
            let _late = timeout_at(deadline, gone.changed()).await;
            return;
        };
        let reason = match timeout_at(deadline, &mut task).await {
            Ok(Ok(())) => return,
            Ok(Err(_panicked)) => "panic",
            Err(_late) => {
                task.abort();
                "shutdown"
            }
        };
        self.state().intake.count_unfinished(reason);
    }

    /// Resolves when the exporter is gone, and its files and connections are closed.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut gone = self.state().intake.gone();
        async move {
            // The sender only ever closes.
            let _closed = gone.changed().await;
        }
    }

    /// True once every stream into the exporter has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// True once the exporter is gone: it has finished, or panicked.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.state().intake.gone().has_changed().is_err()
    }

    /// Ends the exporter at once, for one that has never been sent anything.
    pub fn abort(&self) {
        if let Some(task) = self.state().intake.take_task() {
            task.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic happens while the state is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fan-out's way into an exporter. Dropping it ends its stream.
#[derive(Debug)]
pub struct Inlet {
    sink: Arc<Sink>,
    input: Input,
}

impl Inlet {
    /// The exporter that the inlet leads into.
    #[must_use]
    pub fn sink(&self) -> &Arc<Sink> {
        &self.sink
    }

    /// Queues `batch`, of `weight` bytes, or drops and counts it.
    pub(super) fn offer(&self, mut batch: Batch, weight: usize) {
        let State { merge, intake, .. } = &mut *self.sink.state();
        if !merge.held().is_empty() && weight_of(merge.held()) + weight > intake.capacity() {
            // Another input lags behind: the events that wait for it are bounded as the queue is.
            drop_events(&mut batch, intake);
        }
        let events = Arc::as_ptr(&batch.events);
        let Some(merged) = merge.push(self.input, batch) else { return };
        let is_same = ptr::eq(events, Arc::as_ptr(&merged.events));
        let weight = if is_same { weight } else { self::weight(&merged) };
        intake.offer(merged, weight);
    }

    /// Ends this input with a last batch, which is never dropped. The exporter's stream ends with its last input.
    pub(super) fn end(&self, batch: Batch) {
        let State { merge, intake, ended } = &mut *self.sink.state();
        match merge.push(self.input, batch) {
            Some(last) if last.watermark == Watermark::END => {
                *ended = true;
                intake.end(last);
            }
            Some(merged) => {
                let weight = self::weight(&merged);
                intake.offer(merged, weight);
            }
            None => {}
        }
    }

    /// The watermark up to which the exporter has acked everything.
    pub(super) fn acked(&self) -> Watermark {
        self.sink.state().intake.acked()
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        // The call does nothing if the input has ended.
        self.end(Batch { events: Arc::default(), watermark: Watermark::END, ..Batch::default() });
    }
}

/// Puts the losses that `batch` stands for in place of its events, and counts them.
fn drop_events(batch: &mut Batch, intake: &Intake) {
    intake.count_dropped(batch.sample_count());
    let mut unreported = Unreported::default();
    unreported
        .note(batch, Watermark::before(batch.events.first().map_or(batch.watermark.at(), pdata::Event::at)));
    batch.events = Arc::default();
    unreported.report_in(batch);
}
