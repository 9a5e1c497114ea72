//! The exporter's stage.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use confighttp::{Bounds, Server};
use exporterhelper::{Deliver, Delivery, DeliverySettings, Metrics, Work};
use pdata::{Batch, Watermark};
use profile_page::{Page, Token, router};
use profile_store::{Feed, Store, TICKS_PER_SECOND};

use crate::agent::Agent;
use crate::config::Config;
use crate::error::StartError;
use crate::metrics::Held;

/// Most connections to the page: a hundred pages that send three requests at once.
const CONNECTIONS: usize = 300;

/// Holds the last minutes of batches, and serves the page that shows them until the stream ends.
///
/// The answer to a batch is its own watermark once the store holds the batch. Batches are stored one at a time, on a
/// thread that may wait for an answer that is being computed; the runtime that other exporters use never waits. The
/// answer to the end of the stream comes when the port is free again: a successor may then listen there.
pub struct FlamegraphExporter {
    shown: Arc<Shown>,
    server: Arc<Server>,
}

/// The state that batches change: the page's store, and the gauges about it.
struct Shown {
    feed: Mutex<Feed>,
    store: Arc<RwLock<Store>>,
    agent: Arc<Agent>,
    metrics: Metrics,
    held: Held,
}

impl FlamegraphExporter {
    /// Listens on the endpoint of a valid configuration. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if the endpoint cannot be listened on, or the token cannot be read.
    pub fn start(settings: &DeliverySettings, config: &Config) -> Result<Delivery<Self>, StartError> {
        let token = config.token_file.as_deref().map(token).transpose()?;
        let (feed, store) = Feed::start(config.limits());
        let (store, agent) = (Arc::new(RwLock::new(store)), Arc::new(Agent::new()));
        let measured = Arc::clone(&agent);
        let page = Page::over(Arc::clone(&store)).with_agent(move || measured.view()).with_token(token);
        let bounds = Bounds { connections: CONNECTIONS };
        let server = Server::start_within(&config.endpoint, router(page), bounds)?;
        let address = server.address();
        tracing::info!(exporter = &*settings.id, page = %format_args!("http://{address}/"), "Serving the live page.");
        let (metrics, held) = (Metrics::of(settings), Held::of(&settings.id));
        let shown = Arc::new(Shown { feed: Mutex::new(feed), store, agent, metrics, held });
        Ok(Delivery::of(Self { shown, server: Arc::new(server) }))
    }

    /// The address that the page is served at; a free port if the configured one is 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Reads the token's file, and listens nowhere.
    ///
    /// # Errors
    /// The same as of [`start`](Self::start), apart from those of listening.
    pub fn check(config: &Config) -> Result<(), StartError> {
        config.token_file.as_deref().map(token).transpose().map(drop)
    }
}

impl Shown {
    fn take(&self, batch: &Batch) {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        feed.take(batch, &mut store);
        let (bytes, seconds) = (store.bytes(), store.held().len() / TICKS_PER_SECOND);
        drop(store);
        if let Some(seen) = feed.seen() {
            self.agent.saw(seen);
        }
        self.held.bytes.set(u32::try_from(bytes >> 10).map_or(f64::MAX, |kib| f64::from(kib) * 1_024.0));
        self.held.seconds.set(seconds);
        self.metrics.sent(batch.sample_count());
    }
}

/// The token in a file.
fn token(path: &Path) -> Result<Token, StartError> {
    let read = fs::read_to_string(path);
    let text = read.map_err(|error| StartError::Read { path: path.to_owned(), reason: error.to_string() })?;
    Token::of(&text).ok_or_else(|| StartError::Empty { path: path.to_owned() })
}

impl Deliver for FlamegraphExporter {
    fn deliver(&mut self, batch: Batch) -> Work {
        let (shown, done) = (Arc::clone(&self.shown), batch.watermark);
        let server = (done == Watermark::END).then(|| Arc::clone(&self.server));
        Work::asynchronous(done, async move {
            // A panic in the task is logged by the runtime; the samples of the batch are then missing from the page.
            let _taken = tokio::task::spawn_blocking(move || shown.take(&batch)).await;
            if let Some(server) = server {
                server.stop().await;
            }
        })
    }
}

impl fmt::Debug for FlamegraphExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlamegraphExporter").field("address", &self.address()).finish_non_exhaustive()
    }
}
