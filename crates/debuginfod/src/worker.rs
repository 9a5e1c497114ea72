//! The thread that fetches files, one after another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::address::Url;
use crate::build_id::GnuBuildId;
use crate::cache::Cache;
use crate::error::FetchError;
use crate::fetch::Fetcher;
use crate::metrics;
use crate::state::State;

/// Time for which a server is left alone after it has failed, and its bound: the time doubles with each failure in a
/// row.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(300);
/// Time after which a file is asked for again that could not be had because of a server or the disk.
const RETRY: Duration = Duration::from_secs(60);

/// A server, and the time until which it is left alone.
#[derive(Debug)]
struct Server {
    url: Url,
    /// Time for which the server was left alone last; zero if its last answer was a good one.
    rest: Duration,
    until: Instant,
}

/// Fetches what others have asked for.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) state: Arc<State>,
    pub(crate) cache: Arc<Cache>,
    fetcher: Fetcher,
    servers: Vec<Server>,
    /// Time after which a file that is not to be had is asked for again.
    retry_missing_after: Duration,
}

impl Worker {
    pub(crate) fn new(
        (state, cache): (Arc<State>, Arc<Cache>),
        fetcher: Fetcher,
        urls: Vec<Url>,
        retry_missing_after: Duration,
    ) -> Self {
        let server = |url| Server { url, rest: Duration::ZERO, until: Instant::now() };
        let servers = urls.into_iter().map(server).collect();
        Self { state, cache, fetcher, servers, retry_missing_after }
    }

    /// Works until nobody asks any more: until the other end of `stopped` is dropped.
    pub(crate) async fn run(mut self, stopped: oneshot::Receiver<()>) {
        tokio::select! {
            _dropped = stopped => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&mut self) {
        loop {
            // What waits for a server that is left alone goes on waiting.
            let awake = self.servers.iter().map(|server| server.until).min();
            sleep_until(awake.unwrap_or_else(Instant::now)).await;
            let Some(id) = self.state.next() else {
                self.state.waits.notified().await;
                continue;
            };
            let absent_for = self.find(id).await;
            self.state.done(id, absent_for);
        }
    }

    /// Asks one server after another for a file; returns the time for which it is not to be had, or `None` if it is
    /// there.
    async fn find(&mut self, id: GnuBuildId) -> Option<Duration> {
        // Another agent, or a stage of another configuration, may have fetched it meanwhile.
        if self.cache.file(&id).is_some() {
            return None;
        }
        let mut retry = self.retry_missing_after;
        let mut has_failed = false;
        for server in &mut self.servers {
            if Instant::now() < server.until {
                metrics::failed("skipped");
                (has_failed, retry) = (true, retry.min(RETRY));
                continue;
            }
            match self.fetcher.fetch(&server.url, id, &self.cache).await {
                Ok(true) => {
                    server.answered();
                    metrics::fetched();
                    return None;
                }
                Ok(false) => server.answered(),
                Err(error) => {
                    metrics::failed(error.reason());
                    server.failed(&error, id);
                    has_failed = true;
                    if !error.is_lasting() {
                        retry = retry.min(RETRY);
                    }
                }
            }
        }
        if !has_failed {
            metrics::missing();
        }
        Some(retry)
    }
}

impl Server {
    fn answered(&mut self) {
        self.rest = Duration::ZERO;
    }

    fn failed(&mut self, error: &FetchError, id: GnuBuildId) {
        let server = self.url.origin();
        if !error.is_of_server() {
            self.answered();
            let error: &dyn std::error::Error = error;
            tracing::debug!(server, build_id = %id, error, "Cannot fetch a debug file.");
            return;
        }
        self.rest = (self.rest * 2).clamp(FIRST_REST, LONGEST_REST);
        self.until = Instant::now() + self.rest;
        let error: &dyn std::error::Error = error;
        tracing::warn!(server, build_id = %id, error, "A debuginfod server fails, and is left alone for a while.");
    }
}
