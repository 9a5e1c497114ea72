//! The tee: one receiver to the heads of several pipelines.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::join_all;
use pdata::{Batch, Watermark};
use thiserror::Error;
use tower::Service;
use tracing::error;

/// The error of a tee whose pipelines have all failed: there is nobody left to receive for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("every pipeline has failed")]
pub struct NoHeadLeft;

/// Passes each batch to every pipeline, side by side, and answers with the least of their watermarks. Pipelines are all
/// waited for, unlike exporters behind a fan-out: their heads only look processes up and queue. A pipeline that fails
/// is logged and left out, and the others go on.
pub struct Tee<S> {
    heads: Vec<Head<S>>,
}

struct Head<S> {
    pipeline: String,
    service: S,
    /// True once the pipeline has failed; set where the answer is awaited.
    failed: Arc<AtomicBool>,
    is_ready: bool,
}

impl<S> Tee<S> {
    /// A tee to `heads`, by the names of their pipelines.
    #[must_use]
    pub fn new(heads: Vec<(String, S)>) -> Self {
        let head = |(pipeline, service)| Head { pipeline, service, failed: Arc::default(), is_ready: false };
        Self { heads: heads.into_iter().map(head).collect() }
    }
}

impl<S> Service<Batch> for Tee<S>
where
    S: Service<Batch, Response = Watermark, Future: Send + 'static>,
    S::Error: fmt::Display,
{
    type Response = Watermark;
    type Error = NoHeadLeft;
    type Future = Pin<Box<dyn Future<Output = Result<Watermark, NoHeadLeft>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NoHeadLeft>> {
        for head in &mut self.heads {
            if head.is_ready || head.failed.load(Ordering::Relaxed) {
                continue;
            }
            match head.service.poll_ready(cx) {
                Poll::Ready(Ok(())) => head.is_ready = true,
                Poll::Ready(Err(error)) => fail(&head.pipeline, &head.failed, &error),
                Poll::Pending => {}
            }
        }
        self.heads.retain(|head| !head.failed.load(Ordering::Relaxed));
        match self.heads.iter().all(|head| head.is_ready) {
            _ if self.heads.is_empty() => Poll::Ready(Err(NoHeadLeft)),
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let answers = self.heads.iter_mut().map(|head| {
            head.is_ready = false;
            let (pipeline, failed) = (head.pipeline.clone(), head.failed.clone());
            let answer = head.service.call(batch.clone());
            async move { answer.await.inspect_err(|error| fail(&pipeline, &failed, error)).ok() }
        });
        let answers = join_all(answers);
        Box::pin(async move { answers.await.into_iter().flatten().min().ok_or(NoHeadLeft) })
    }
}

fn fail(pipeline: &str, failed: &AtomicBool, error: &dyn fmt::Display) {
    failed.store(true, Ordering::Relaxed);
    error!(pipeline, %error, "Pipeline has failed. The others go on.");
}

impl<S> fmt::Debug for Tee<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pipelines = self.heads.iter().map(|head| &head.pipeline);
        f.debug_tuple("Tee").field(&pipelines.collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pdata::KTime;
    use tokio::time::sleep;
    use tower::{BoxError, ServiceExt as _};
    use tower_test::mock::{self, Handle};

    use super::*;

    type Pair = (String, mock::Mock<Batch, Watermark>);

    fn before(nanos: u64) -> Watermark {
        Watermark::before(KTime::from_nanos(nanos))
    }

    fn batch(watermark: Watermark) -> Batch {
        Batch { events: Arc::default(), watermark, ..Batch::default() }
    }

    fn pair(name: &str) -> (Pair, Handle<Batch, Watermark>) {
        let (service, handle) = mock::pair();
        ((name.to_owned(), service), handle)
    }

    #[tokio::test(start_paused = true)]
    async fn each_pipeline_gets_each_batch_side_by_side_and_the_least_answers() {
        let ((a, mut a_handle), (b, mut b_handle)) = (pair("a"), pair("b"));
        let mut tee = Tee::new(vec![a, b]);
        let answer = tokio::spawn(tee.ready().await.unwrap().call(batch(Watermark::END)));
        // Both have it before either has answered: the end of one may have to wait for that of the other.
        let ((_, to_a), (_, to_b)) =
            (a_handle.next_request().await.unwrap(), b_handle.next_request().await.unwrap());
        to_b.send_response(before(9));
        sleep(Duration::from_secs(1)).await;
        assert!(!answer.is_finished());
        to_a.send_response(before(7));
        assert_eq!(answer.await.unwrap(), Ok(before(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipeline_that_fails_is_out_and_the_last_one_to_fail_is_the_end() {
        let ((a, mut a_handle), (b, mut b_handle)) = (pair("a"), pair("b"));
        let mut tee = Tee::new(vec![a, b]);
        let answer = tokio::spawn(tee.ready().await.unwrap().call(batch(before(5))));
        a_handle.next_request().await.unwrap().1.send_error(BoxError::from("broken"));
        b_handle.next_request().await.unwrap().1.send_response(before(5));
        assert_eq!(answer.await.unwrap(), Ok(before(5)));
        drop(a_handle);

        let answer = tokio::spawn(tee.ready().await.unwrap().call(batch(before(6))));
        b_handle.next_request().await.unwrap().1.send_error(BoxError::from("broken"));
        assert_eq!(answer.await.unwrap(), Err(NoHeadLeft));
        assert!(tee.ready().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_when_every_pipeline_is() {
        let ((a, _a_handle), (b, mut b_handle)) = (pair("a"), pair("b"));
        b_handle.allow(0);
        let mut tee = Tee::new(vec![a, b]);
        let mut ready = tokio_test::task::spawn(tee.ready());
        assert!(ready.poll().is_pending());
        b_handle.allow(1);
        assert!(ready.is_woken() && ready.poll().is_ready());
    }
}
