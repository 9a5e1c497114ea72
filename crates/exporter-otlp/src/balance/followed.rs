//! The servers that one name stands for, as they come and go, like gRPC's `dns:///`.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use exporterhelper::{Delivered, SendError};
use otlp_profiles::ProfilesRequest;
use tokio::time::{Instant, timeout};
use tower::{Service, ServiceExt as _};

use super::{Transport, balance};
use crate::error::ConnectError;

/// Time for which addresses are used before the name is looked up again. A new server gets work after this time at the
/// latest.
const REFRESH: Duration = Duration::from_secs(30);
/// Time between lookups while servers fail or the name cannot be looked up.
const RETRY: Duration = Duration::from_secs(1);
/// The longest that a lookup may take; the C library's resolver gives up after 10 to 30 s.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);
/// The most servers of one name that are used: a name with more addresses is a mistake.
const MAX_SERVERS: usize = 256;

/// The result of looking up a name.
pub(crate) type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Looks up the addresses that the name has now.
pub(crate) type Resolve = Arc<dyn Fn() -> Lookup + Send + Sync>;
/// Makes the transport to one address.
pub(crate) type Dial = Arc<dyn Fn(SocketAddr) -> Result<Transport, ConnectError> + Send + Sync>;

/// Sends each request to one of the servers of a name, in turn, and to another if that one fails.
///
/// The name is not looked up before the first request. A lookup that fails leaves the addresses as they are.
#[derive(Clone)]
pub(crate) struct Followed {
    name: Arc<str>,
    resolve: Resolve,
    dial: Dial,
    state: Arc<Mutex<State>>,
    /// Lock of the request that waits for the first addresses.
    first: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    servers: BTreeMap<SocketAddr, Transport>,
    /// Transport that spreads requests over `servers`; `None` until there are any.
    balanced: Option<Transport>,
    looked: Option<Instant>,
    /// True while a task looks up the name.
    looking: bool,
    /// True if a request has failed since the last lookup.
    failed: bool,
}

impl Followed {
    pub(crate) fn new(name: &str, resolve: Resolve, dial: Dial) -> Self {
        Self { name: name.into(), resolve, dial, state: Arc::default(), first: Arc::default() }
    }

    /// Sets the state that a failed request leaves after a while.
    #[cfg(test)]
    pub(crate) fn fail_for_test(&self) {
        let mut state = self.state();
        (state.failed, state.looked) = (true, None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transport that spreads requests over the servers. A due lookup runs beside it; the first one is waited for.
    async fn balanced(&self) -> Result<Transport, SendError> {
        if let Some(balanced) = self.known() {
            return Ok(balanced);
        }
        let _first = self.first.lock().await;
        if let Some(balanced) = self.known() {
            return Ok(balanced);
        }
        self.look().await.map_err(|error| SendError::retryable(self.failure(&error)))?;
        let none = || SendError::retryable(format!("{} has no address", self.name));
        self.known().ok_or_else(none)
    }

    fn known(&self) -> Option<Transport> {
        let mut state = self.state();
        let balanced = state.balanced.clone()?;
        if state.is_due() && !std::mem::replace(&mut state.looking, true) {
            let this = self.clone();
            drop(state);
            tokio::spawn(async move {
                if let Err(error) = this.look().await {
                    tracing::warn!(
                        name = &*this.name,
                        error = &error as &dyn std::error::Error,
                        "A server's name cannot be looked up: the addresses that it had are used on."
                    );
                }
                this.state().looking = false;
            });
        }
        Some(balanced)
    }

    async fn look(&self) -> io::Result<()> {
        let found = timeout(LOOKUP_TIMEOUT, (self.resolve)()).await;
        let found = found.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()));
        let mut state = self.state();
        state.looked = Some(Instant::now());
        let mut addresses = found.inspect_err(|_error| state.failed = true)?;
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_SERVERS);
        // An answer without any is as good as none.
        if !addresses.is_empty() {
            state.failed = false;
            state.change(&addresses, &self.dial).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn failure(&self, error: &io::Error) -> String {
        format!("cannot look up {}: {error}", self.name)
    }
}

impl State {
    fn is_due(&self) -> bool {
        let age = if self.failed { RETRY } else { REFRESH };
        self.looked.is_none_or(|looked| looked.elapsed() >= age)
    }

    /// Uses these servers from now on. Requests under way stay where they are.
    fn change(&mut self, addresses: &[SocketAddr], dial: &Dial) -> Result<(), ConnectError> {
        if self.servers.keys().eq(addresses) {
            return Ok(());
        }
        let mut servers = BTreeMap::new();
        for &address in addresses {
            // A connection that there is stays.
            let transport = match self.servers.remove(&address) {
                Some(transport) => transport,
                None => dial(address)?,
            };
            servers.insert(address, transport);
        }
        self.balanced = Some(balance(servers.values().cloned().collect()));
        self.servers = servers;
        Ok(())
    }
}

impl Service<ProfilesRequest> for Followed {
    type Response = Delivered;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Delivered, SendError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ProfilesRequest) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let result = this.balanced().await?.oneshot(request).await;
            if matches!(result, Err(SendError::Retryable { .. })) {
                this.state().failed = true;
            }
            result
        })
    }
}
