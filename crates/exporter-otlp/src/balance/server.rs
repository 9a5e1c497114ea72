//! A server that is set aside for a while after it has failed.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use exporterhelper::{Delivered, SendError};
use otlp_profiles::ProfilesRequest;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;
use tower::load::Load;

/// Time for which a server is set aside that has failed once.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest time for which a server is set aside, however often it has failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The health of all servers, and a count of their requests.
#[derive(Debug)]
pub(super) struct Servers {
    health: Vec<Mutex<Health>>,
    /// Number of requests that have been sent; it orders them.
    turns: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Health {
    /// Time until which the server is set aside.
    until: Option<Instant>,
    /// Time for which the server is set aside when it fails next.
    pause: Duration,
}

impl Servers {
    pub(super) fn new(count: usize) -> Self {
        Self {
            health: vec![Health::default(); count].into_iter().map(Mutex::new).collect(),
            turns: AtomicU64::new(0),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.health.len()
    }

    /// Time until the first server is tried again, if all are set aside.
    pub(super) fn all_aside(&self) -> Option<Duration> {
        let now = Instant::now();
        let waits: Option<Vec<_>> = (0..self.count()).map(|index| self.aside(index, now)).collect();
        waits?.into_iter().min()
    }

    /// Time for which this server is still set aside.
    fn aside(&self, index: usize, now: Instant) -> Option<Duration> {
        let until = self.with(index, |health| health.until).flatten()?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    fn failed(&self, index: usize, asked: Option<Duration>) {
        self.with(index, |health| {
            let pause = health.pause.max(FIRST_PAUSE);
            health.pause = (pause * 2).min(LONGEST_PAUSE);
            let until = Instant::now().checked_add(pause.max(asked.unwrap_or_default()));
            // Several requests fail at a time: the longest holds.
            health.until = health.until.max(until);
        });
    }

    fn succeeded(&self, index: usize) {
        self.with(index, |health| *health = Health::default());
    }

    fn with<T>(&self, index: usize, change: impl FnOnce(&mut Health) -> T) -> Option<T> {
        let health = self.health.get(index)?;
        Some(change(&mut health.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The transport to one server, ready unless the server is set aside.
#[derive(Debug)]
pub(super) struct Server<S> {
    transport: S,
    servers: Arc<Servers>,
    index: usize,
    under_way: Arc<AtomicUsize>,
    last_turn: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Server<S> {
    pub(super) fn new(transport: S, servers: &Arc<Servers>, index: usize) -> Self {
        let servers = Arc::clone(servers);
        Self { transport, servers, index, under_way: Arc::default(), last_turn: 0, pause: None }
    }
}

impl<S> Load for Server<S> {
    /// Load of a server: its requests under way, then the turn of its last request. That is round robin where all
    /// servers keep up.
    type Metric = (usize, u64);

    fn load(&self) -> Self::Metric {
        (self.under_way.load(Ordering::Relaxed), self.last_turn)
    }
}

impl<S> Service<ProfilesRequest> for Server<S>
where
    S: Service<ProfilesRequest, Response = Delivered, Error = SendError>,
    S::Future: Send + 'static,
{
    type Response = Delivered;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Delivered, SendError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let now = Instant::now();
        while let Some(wait) = self.servers.aside(self.index, now) {
            let pause = self.pause.insert(Box::pin(sleep_until(now + wait)));
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.pause = None;
        self.transport.poll_ready(cx)
    }

    fn call(&mut self, request: ProfilesRequest) -> Self::Future {
        self.last_turn = self.servers.turns.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let attempt = self.transport.call(request);
        let mut outcome = Outcome::begin(&self.servers, self.index, &self.under_way);
        Box::pin(async move {
            let result = attempt.await;
            outcome.is(&result);
            result
        })
    }
}

/// The outcome of an attempt. An attempt that is dropped before its response has taken too long, and counts as failed.
struct Outcome {
    servers: Arc<Servers>,
    index: usize,
    under_way: Arc<AtomicUsize>,
    is_known: bool,
}

impl Outcome {
    fn begin(servers: &Arc<Servers>, index: usize, under_way: &Arc<AtomicUsize>) -> Self {
        under_way.fetch_add(1, Ordering::Relaxed);
        Self { servers: Arc::clone(servers), index, under_way: Arc::clone(under_way), is_known: false }
    }

    fn is(&mut self, result: &Result<Delivered, SendError>) {
        self.is_known = true;
        match result {
            Err(SendError::Retryable { after, .. }) => self.servers.failed(self.index, *after),
            // The request is at fault, not the server.
            Ok(_) | Err(SendError::Permanent { .. }) => self.servers.succeeded(self.index),
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        if !self.is_known {
            self.servers.failed(self.index, None);
        }
    }
}
