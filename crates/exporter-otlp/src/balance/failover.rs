//! Sends a request that one server fails to take to another at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use exporterhelper::{Delivered, SendError};
use otlp_profiles::ProfilesRequest;
use tower::{BoxError, Service, ServiceExt as _};

use super::server::Servers;

/// Tries each server at most once for a request. When all are set aside, the request fails at once, and
/// `retry_on_failure` waits.
#[derive(Clone, Debug)]
pub(super) struct Failover<B> {
    balance: B,
    servers: Arc<Servers>,
}

impl<B> Failover<B> {
    pub(super) fn new(balance: B, servers: Arc<Servers>) -> Self {
        Self { balance, servers }
    }
}

impl<B> Service<ProfilesRequest> for Failover<B>
where
    B: Service<ProfilesRequest, Response = Delivered, Error = BoxError> + Clone + Send + 'static,
    B::Future: Send,
{
    type Response = Delivered;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Delivered, SendError>> + Send>>;

    /// Returns ready always: each request asks anew for a server that is ready.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ProfilesRequest) -> Self::Future {
        let Self { balance, servers } = self.clone();
        Box::pin(async move {
            let mut reason = "every server has failed a moment ago".to_owned();
            for _ in 0..servers.count() {
                if servers.all_aside().is_some() {
                    break;
                }
                match balance.clone().oneshot(request.clone()).await.map_err(known) {
                    Err(SendError::Retryable { reason: latest, .. }) => reason = latest,
                    result => return result,
                }
            }
            Err(SendError::Retryable { reason, after: servers.all_aside() })
        })
    }
}

/// The error of a server, out of the box in which the buffer passes it on.
fn known(error: BoxError) -> SendError {
    match error.downcast::<SendError>() {
        Ok(known) => *known,
        // The task that spreads requests is gone, which it is only when the runtime is.
        Err(error) => SendError::permanent(error.to_string()),
    }
}
