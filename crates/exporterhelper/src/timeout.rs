//! A bound on each attempt.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service, ServiceExt as _};

use crate::SendError;

/// Ends an attempt that takes too long, waiting for a connection included; it may be tried again.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    timeout: Duration,
}

impl TimeoutLayer {
    /// A layer that lets an attempt take at most this long; zero is forever.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, timeout: self.timeout }
    }
}

/// The service of a [`TimeoutLayer`]. It is always ready: a transport that is not ready uses up the time of the
/// attempt.
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    timeout: Duration,
}

impl<R, S> Service<R> for Timeout<S>
where
    R: Send + 'static,
    S: Service<R, Error = SendError> + Clone + Send + 'static,
    S::Response: Send,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, SendError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The clone is called only once it is ready itself.
        let attempt = self.inner.clone().oneshot(request);
        let timeout = self.timeout;
        Box::pin(async move {
            if timeout.is_zero() {
                return attempt.await;
            }
            let late = |_late| Err(SendError::retryable(format!("no answer within {timeout:?}")));
            tokio::time::timeout(timeout, attempt).await.unwrap_or_else(late)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use tower_test::mock;

    use super::*;

    fn bounded(timeout: Duration) -> (Timeout<Transport>, mock::Handle<u32, u32>) {
        let (inner, handle) = mock::pair();
        (TimeoutLayer::new(timeout).layer(Transport(inner)), handle)
    }

    /// A mock whose errors are ours.
    #[derive(Clone)]
    struct Transport(mock::Mock<u32, u32>);

    impl Service<u32> for Transport {
        type Response = u32;
        type Error = SendError;
        type Future = Pin<Box<dyn Future<Output = Result<u32, SendError>> + Send>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
            self.0.poll_ready(cx).map_err(|error| SendError::permanent(error.to_string()))
        }

        fn call(&mut self, request: u32) -> Self::Future {
            let answer = self.0.call(request);
            Box::pin(async { answer.await.map_err(|error| SendError::permanent(error.to_string())) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_ends_and_may_be_tried_again() {
        let (mut service, mut handle) = bounded(Duration::from_secs(5));
        let started = Instant::now();
        let attempt = tokio::spawn(service.call(1));
        let _never = handle.next_request().await.unwrap();
        assert_eq!(attempt.await.unwrap(), Err(SendError::retryable("no answer within 5s")));
        assert_eq!(started.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_transport_that_is_not_ready_uses_up_the_time_too() {
        let (mut service, mut handle) = bounded(Duration::from_secs(5));
        handle.allow(0);
        assert_eq!(service.call(1).await, Err(SendError::retryable("no answer within 5s")));
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_forever() {
        let (mut service, mut handle) = bounded(Duration::ZERO);
        let attempt = tokio::spawn(service.call(1));
        let (_, respond) = handle.next_request().await.unwrap();
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        respond.send_response(2);
        assert_eq!(attempt.await.unwrap(), Ok(2));
    }
}
