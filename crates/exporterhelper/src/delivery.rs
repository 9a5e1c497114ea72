//! The stage of an exporter that delivers one batch at a time.

use std::fmt;
use std::future::{self, Future};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pdata::{Batch, Watermark};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::{self, JoinError};
use tower::Service;

/// Resolves to the watermark that the exporter has acked, once it is known.
pub type AckFuture = Pin<Box<dyn Future<Output = Result<Watermark, Stopped>> + Send>>;

/// A delivery ended without an outcome: the runtime is shutting down, or it has panicked.
#[derive(Debug, Error)]
#[error("the task that delivers profiles was stopped")]
pub struct Stopped(#[source] Option<JoinError>);

impl Stopped {
    /// The error of a delivery whose task ended like this.
    pub(crate) fn task(error: JoinError) -> Self {
        Self(Some(error))
    }

    /// The error of a delivery whose queue has lost its task.
    pub(crate) fn queue() -> Self {
        Self(None)
    }
}

/// An exporter that takes one batch at a time. [`Delivery`] makes a stage of it.
pub trait Deliver {
    /// Takes a batch; returns the work that is left to do before the batch is acked.
    fn deliver(&mut self, batch: Batch) -> Work;
}

/// Work that an exporter has to do before it acks a batch, and the watermark that it acks then.
pub struct Work {
    acked: Watermark,
    task: Task,
}

enum Task {
    Nothing,
    Asynchronous(Pin<Box<dyn Future<Output = ()> + Send>>),
    Blocking(Box<dyn FnOnce() + Send>),
}

impl Work {
    /// No work: `acked` is acked at once.
    #[must_use]
    pub fn nothing(acked: Watermark) -> Self {
        Self { acked, task: Task::Nothing }
    }

    /// Runs `work` on a task of its own, and acks `acked` once it is over.
    pub fn asynchronous(acked: Watermark, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { acked, task: Task::Asynchronous(Box::pin(work)) }
    }

    /// Runs `work`, which may block, on the runtime's blocking pool, and acks `acked` once it is over.
    pub fn blocking(acked: Watermark, work: impl FnOnce() + Send + 'static) -> Self {
        Self { acked, task: Task::Blocking(Box::new(work)) }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("acked", &self.acked).finish_non_exhaustive()
    }
}

/// The stage of an exporter, with at most one delivery under way.
///
/// A delivery runs on a task of its own from the moment it is started: it is finished even if the caller loses patience
/// and drops the future. Until then the exporter is not ready, so that no later ack runs ahead.
#[derive(Debug)]
pub struct Delivery<E> {
    exporter: E,
    /// Resolves when the delivery that was started last is over.
    under_way: Option<oneshot::Receiver<()>>,
}

impl<E> Delivery<E> {
    /// The stage of `exporter`.
    pub fn of(exporter: E) -> Self {
        Self { exporter, under_way: None }
    }

    /// The exporter.
    pub fn exporter(&self) -> &E {
        &self.exporter
    }

    fn begin(&mut self) -> oneshot::Sender<()> {
        let (over, under_way) = oneshot::channel();
        self.under_way = Some(under_way);
        over
    }
}

impl<E: Deliver> Service<Batch> for Delivery<E> {
    type Response = Watermark;
    type Error = Stopped;
    type Future = AckFuture;

    /// Returns ready when no delivery is under way.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        if let Some(under_way) = &mut self.under_way {
            // The sender is dropped unused.
            let _closed = ready!(Pin::new(under_way).poll(cx));
            self.under_way = None;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> AckFuture {
        let Work { acked, task } = self.exporter.deliver(batch);
        let running = match task {
            Task::Nothing => return Box::pin(future::ready(Ok(acked))),
            Task::Asynchronous(work) => {
                let over = self.begin();
                tokio::spawn(async move {
                    work.await;
                    drop(over);
                })
            }
            Task::Blocking(work) => {
                let over = self.begin();
                task::spawn_blocking(move || {
                    work();
                    drop(over);
                })
            }
        };
        Box::pin(async move {
            running.await.map_err(Stopped::task)?;
            Ok(acked)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// An exporter that has one piece of work to do, once.
    struct Once(Option<Work>);

    impl Deliver for Once {
        fn deliver(&mut self, _batch: Batch) -> Work {
            self.0.take().unwrap()
        }
    }

    fn stage(work: Work) -> Delivery<Once> {
        Delivery::of(Once(Some(work)))
    }

    #[tokio::test]
    async fn a_delivery_goes_on_when_its_answer_is_dropped_and_holds_up_the_next() {
        let (release, held) = oneshot::channel::<()>();
        let (finished, outcome) = oneshot::channel();
        let mut stage = stage(Work::asynchronous(Watermark::END, async move {
            held.await.unwrap();
            finished.send(()).unwrap();
        }));
        drop(stage.call(Batch::default()));
        let idle = tokio_test::task::spawn(poll_fn(|cx| stage.poll_ready(cx))).poll();
        assert!(idle.is_pending());
        release.send(()).unwrap();
        poll_fn(|cx| stage.poll_ready(cx)).await.unwrap();
        outcome.await.unwrap();
    }

    #[tokio::test]
    async fn the_answer_comes_after_the_work() {
        let (finished, mut outcome) = oneshot::channel();
        let work = Work::blocking(Watermark::END, move || finished.send(()).unwrap());
        assert_eq!(stage(work).call(Batch::default()).await.unwrap(), Watermark::END);
        assert_eq!(outcome.try_recv(), Ok(()));
        let nothing = stage(Work::nothing(Watermark::NONE)).call(Batch::default());
        assert_eq!(nothing.await.unwrap(), Watermark::NONE);
    }

    #[tokio::test]
    async fn a_delivery_that_panics_is_an_error_and_holds_up_nobody() {
        let mut stage = stage(Work::asynchronous(Watermark::END, async { panic!("on purpose") }));
        assert!(stage.call(Batch::default()).await.is_err());
        poll_fn(|cx| stage.poll_ready(cx)).await.unwrap();
    }
}
