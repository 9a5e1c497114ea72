//! Several requests sent as one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use otlp_profiles::ProfilesRequest;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service, ServiceExt as _};

use crate::config::QueueConfig;
use crate::{Delivered, SendError};

/// The reason why a request is dropped that the queue has kept for its whole `max_age`.
pub(crate) const TOO_OLD: &str = "older than max_age";

/// Requests that the queue hands on together.
#[derive(Clone, Debug)]
pub struct Group {
    /// The requests, oldest first.
    pub requests: Vec<ProfilesRequest>,
    /// Time at which the youngest of the requests is too old, which ends the attempts to send them; `None` for never.
    pub expires: Option<Instant>,
}

/// Sends a group of requests as few: merged, and split again where they would be too large.
#[derive(Clone, Copy, Debug)]
pub struct BatchLayer {
    max_bytes: usize,
}

impl BatchLayer {
    /// Makes requests of at most `max_bytes` of protobuf before compression, or of the `max_size` of the queue's
    /// batches if that is less. A group of one stays as it is.
    #[must_use]
    pub fn new(config: &QueueConfig, max_bytes: usize) -> Self {
        let max_size = config.batch.as_ref().map_or(0, |batch| batch.max_size);
        let max_size = usize::try_from(max_size).ok().filter(|&size| size > 0);
        Self { max_bytes: max_size.map_or(max_bytes, |size| size.min(max_bytes)) }
    }
}

impl<S> Layer<S> for BatchLayer {
    type Service = BatchService<S>;

    fn layer(&self, inner: S) -> BatchService<S> {
        BatchService { inner, max_bytes: self.max_bytes }
    }
}

/// The service of a [`BatchLayer`]. It is always ready, as it asks its transport for each request.
#[derive(Clone, Debug)]
pub struct BatchService<S> {
    inner: S,
    max_bytes: usize,
}

/// The outcome of one request that was sent.
#[derive(Debug)]
pub struct Sent {
    /// Samples in the request.
    pub samples: u64,
    /// The outcome of the attempt.
    pub result: Result<Delivered, SendError>,
}

impl<S> Service<Group> for BatchService<S>
where
    S: Service<ProfilesRequest, Response = Delivered, Error = SendError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Vec<Sent>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Vec<Sent>, SendError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Group { requests, expires }: Group) -> Self::Future {
        let (inner, max_bytes) = (self.inner.clone(), self.max_bytes);
        Box::pin(async move {
            let mut sent = Vec::new();
            for request in merged(requests, max_bytes).await? {
                let samples = request.samples;
                let result = within(expires, inner.clone().oneshot(request)).await;
                sent.push(Sent { samples, result });
            }
            Ok(sent)
        })
    }
}

/// The outcome of sending a request, of which nothing is tried any more once it has expired.
async fn within(
    expires: Option<Instant>,
    sending: impl Future<Output = Result<Delivered, SendError>>,
) -> Result<Delivered, SendError> {
    match expires {
        Some(expires) => {
            let in_time = timeout_at(expires, sending).await;
            in_time.unwrap_or_else(|_too_old| Err(SendError::permanent(TOO_OLD)))
        }
        None => sending.await,
    }
}

async fn merged(group: Vec<ProfilesRequest>, max_bytes: usize) -> Result<Vec<ProfilesRequest>, SendError> {
    if group.len() < 2 {
        return Ok(group);
    }
    // Megabytes are decoded and encoded: not on the runtime's threads.
    let merged = tokio::task::spawn_blocking(move || otlp_profiles::merge(&group, max_bytes));
    merged.await.map_err(|_panicked| SendError::permanent("the requests cannot be merged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BatchConfig;

    #[test]
    fn a_batch_is_no_larger_than_a_request_may_be() {
        let layer = |max_size| {
            let batch = Some(BatchConfig { max_size, ..BatchConfig::default() });
            BatchLayer::new(&QueueConfig { batch, ..QueueConfig::default() }, 100).max_bytes
        };
        assert_eq!([layer(0), layer(60), layer(200)], [100, 60, 100]);
        assert_eq!(BatchLayer::new(&QueueConfig::default(), 100).max_bytes, 100);
    }
}
