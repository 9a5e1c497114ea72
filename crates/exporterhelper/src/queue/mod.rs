//! Requests that wait to be sent, so that a slow server costs nothing but room.
//!
//! ```text
//! call(requests, watermark) --> items --> task: as many at a time as there are consumers --> batch, retry, ...
//!    <--- watermark up to which everything is sent, on disk or given up on (at once; that of these requests later)
//! ```

mod disk;
mod interleave;
mod items;
mod ledger;
mod metrics;
mod send;
mod shared;
#[cfg(test)]
mod tests;

use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use otlp_profiles::Finished;
use pdata::Watermark;
use tokio_util::task::AbortOnDropHandle;
use tower::{Layer, Service};
use tracing::error;

use self::disk::Disk;
use self::send::Sender;
use self::shared::QueueState;
use crate::batch::{Group, Sent};
use crate::config::QueueConfig;
use crate::{AckFuture, DeliverySettings, SendError, Stop, Stopped};

/// Puts a queue before a service that sends groups of requests.
#[derive(Clone, Debug)]
pub struct QueueLayer {
    settings: DeliverySettings,
    config: QueueConfig,
    stop: Stop,
}

impl QueueLayer {
    /// A queue by its configuration. `stop` is notified when the stream is over.
    #[must_use]
    pub fn new(settings: &DeliverySettings, config: &QueueConfig, stop: &Stop) -> Self {
        Self { settings: settings.clone(), config: config.clone(), stop: stop.clone() }
    }
}

impl QueueLayer {
    /// The file of the queue, if its configuration names a storage.
    fn disk(&self, shared: &Arc<QueueState>) -> Option<Disk> {
        let name = self.config.storage.as_ref().filter(|_| self.config.enabled)?;
        let exporter = &*self.settings.id;
        let Some(storage) = &self.settings.storage else {
            // The assembler has refused such a configuration.
            error!(exporter, storage = name, "There is no such storage. Keeping the queue in memory.");
            return None;
        };
        let disk = Disk::open(storage, exporter, self.config.max_age, {
            // Weak, since the file belongs to the queue.
            let queue = Arc::downgrade(shared);
            move |report| {
                if let Some(queue) = queue.upgrade() {
                    queue.take_report(report);
                }
            }
        });
        disk.inspect_err(|error| error!(exporter, %error, "There is no thread for the storage. Keeping the queue in memory.")).ok()
    }
}

impl<S> Layer<S> for QueueLayer
where
    S: Service<Group, Response = Vec<Sent>, Error = SendError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Service = Queue;

    /// # Panics
    /// Outside a Tokio runtime: a task of its own takes requests from the queue.
    fn layer(&self, inner: S) -> Queue {
        let shared = Arc::new(QueueState::new(&self.settings, &self.config));
        if let Some(disk) = self.disk(&shared) {
            shared.attach(disk);
        }
        let sender = Sender::new(inner, shared.clone(), &self.config);
        Queue {
            shared,
            task: Some(AbortOnDropHandle::new(tokio::spawn(sender.run()))),
            stop: self.stop.clone(),
            waits: self.config.enabled && self.config.wait_for_result,
        }
    }
}

/// Holds requests until they are sent or dropped.
///
/// Takes the requests of a window and acks at once the watermark up to which everything is over, or on disk. A request
/// that does not fit is dropped and counted, or waited for. At the end of the stream all requests that are left are
/// tried once, save those that are on disk already, which the next run finds there.
#[derive(Debug)]
pub struct Queue {
    shared: Arc<QueueState>,
    /// The task that sends, which ends with the queue; `None` once the stream is over.
    task: Option<AbortOnDropHandle<()>>,
    stop: Stop,
    /// True if a window is acked only once its own requests are over.
    waits: bool,
}

impl Queue {
    /// Samples that did not fit since the last call.
    pub fn take_lost(&self) -> u64 {
        self.shared.take_lost()
    }
}

impl Service<Finished> for Queue {
    type Response = Watermark;
    type Error = Stopped;
    type Future = AckFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        if self.task.as_ref().is_some_and(AbortOnDropHandle::is_finished) {
            return Poll::Ready(Err(Stopped::queue()));
        }
        ready!(self.shared.poll_room(cx));
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Finished { requests, acked }: Finished) -> AckFuture {
        let is_end = acked == Watermark::END;
        self.shared.offer(requests, acked);
        if is_end {
            self.stop.end();
            let task = self.task.take();
            return Box::pin(async move {
                if let Some(task) = task {
                    task.await.map_err(Stopped::task)?;
                }
                Ok(Watermark::END)
            });
        }
        if self.waits {
            let mut acked_so_far = self.shared.follow();
            return Box::pin(async move {
                // The sender lives as long as the state that this follows.
                let answer = acked_so_far.wait_for(|answer| *answer >= acked).await;
                answer.map(|answer| *answer).map_err(|_gone| Stopped::queue())
            });
        }
        Box::pin(ready(Ok(self.shared.acked())))
    }
}
