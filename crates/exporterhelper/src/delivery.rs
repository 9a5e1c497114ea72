//! The window on its way out.

use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pdata::Watermark;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::{self, JoinError, JoinHandle};

/// Resolves to the watermark that the exporter has acked, once it is known.
pub type AckFuture = Pin<Box<dyn Future<Output = Result<Watermark, Stopped>> + Send>>;

/// A delivery ended without an outcome: the runtime is shutting down, or it has panicked.
#[derive(Debug, Error)]
#[error("the task that delivers profiles was stopped")]
pub struct Stopped(#[source] Option<JoinError>);

impl Stopped {
    /// The task ended so.
    pub(crate) fn task(error: JoinError) -> Self {
        Self(Some(error))
    }

    /// The task behind a queue is gone.
    pub(crate) fn queue() -> Self {
        Self(None)
    }
}

/// At most one delivery under way.
///
/// A delivery runs on a task of its own from the moment it is started: it is finished even if the caller loses
/// patience and drops the answer. Until then the exporter is not ready, so that no later answer runs ahead.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Resolves when the last one started is over.
    under_way: Option<oneshot::Receiver<()>>,
}

impl Delivery {
    /// Ready when no delivery is under way.
    pub fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(under_way) = &mut self.under_way {
            // The sender is dropped unused.
            let _closed = ready!(Pin::new(under_way).poll(cx));
            self.under_way = None;
        }
        Poll::Ready(())
    }

    /// The answer when there is nothing to deliver.
    #[must_use]
    pub fn nothing(done: Watermark) -> AckFuture {
        Box::pin(ready(Ok(done)))
    }

    /// Starts `work`; the answer is `done` once it is over.
    pub fn start(&mut self, done: Watermark, work: impl Future<Output = ()> + Send + 'static) -> AckFuture {
        let over = self.begin();
        answer(
            done,
            tokio::spawn(async move {
                work.await;
                drop(over);
            }),
        )
    }

    /// As [`start`](Self::start), for work that may block: it runs on the runtime's blocking pool.
    pub fn start_blocking(&mut self, done: Watermark, work: impl FnOnce() + Send + 'static) -> AckFuture {
        let over = self.begin();
        answer(
            done,
            task::spawn_blocking(move || {
                work();
                drop(over);
            }),
        )
    }

    fn begin(&mut self) -> oneshot::Sender<()> {
        let (over, under_way) = oneshot::channel();
        self.under_way = Some(under_way);
        over
    }
}

fn answer(done: Watermark, task: JoinHandle<()>) -> AckFuture {
    Box::pin(async move {
        task.await.map_err(Stopped::task)?;
        Ok(done)
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_delivery_goes_on_when_its_answer_is_dropped_and_holds_up_the_next() {
        let mut delivery = Delivery::default();
        let (release, held) = oneshot::channel::<()>();
        let (finished, outcome) = oneshot::channel();
        drop(delivery.start(Watermark::END, async move {
            held.await.unwrap();
            finished.send(()).unwrap();
        }));
        let idle = tokio_test::task::spawn(poll_fn(|cx| delivery.poll_idle(cx))).poll();
        assert!(idle.is_pending());
        release.send(()).unwrap();
        poll_fn(|cx| delivery.poll_idle(cx)).await;
        outcome.await.unwrap();
    }

    #[tokio::test]
    async fn the_answer_comes_after_the_work() {
        let mut delivery = Delivery::default();
        let (finished, mut outcome) = oneshot::channel();
        let answer = delivery.start_blocking(Watermark::END, move || finished.send(()).unwrap());
        assert_eq!(answer.await.unwrap(), Watermark::END);
        assert_eq!(outcome.try_recv(), Ok(()));
        assert_eq!(Delivery::nothing(Watermark::NONE).await.unwrap(), Watermark::NONE);
    }

    #[tokio::test]
    async fn a_delivery_that_panics_is_an_error_and_holds_up_nobody() {
        let mut delivery = Delivery::default();
        let answer = delivery.start(Watermark::END, async { panic!("on purpose") });
        assert!(answer.await.is_err());
        poll_fn(|cx| delivery.poll_idle(cx)).await;
    }
}
