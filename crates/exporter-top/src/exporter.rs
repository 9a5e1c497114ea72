//! The stage.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use componentstatus::Board;
use exporterhelper::{Deliver, Delivery, DeliverySettings, Metrics, Work};
use pdata::{Batch, Watermark};

use crate::audience::Audience;
use crate::config::Config;
use crate::error::{SocketError, StartError};
use crate::group;
use crate::metrics::Watched;
use crate::peers::Watchers;
use crate::reporter::Reporter;
use crate::socket::Socket;

/// Sends what the CPUs did, second by second, to whoever is attached to its socket.
///
/// While nobody is, a batch is acked and forgotten. Else it is summarised on a thread that may block, and the answer is
/// its own watermark. Whoever does not read misses seconds, and holds up nobody.
pub struct TopExporter {
    shared: Arc<TopState>,
    metrics: Metrics,
}

struct TopState {
    audience: Audience,
    board: Arc<Board>,
    /// `None` while nobody watches.
    reporter: Mutex<Option<Reporter>>,
}

impl TopExporter {
    /// Listens where the configuration says, which is taken to be valid. The stages that it shows are those on `board`.
    /// Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] if the socket cannot be made, or the group is not known.
    pub fn start(
        settings: &DeliverySettings,
        config: &Config,
        board: Arc<Board>,
    ) -> Result<Delivery<Self>, StartError> {
        let group = config.group.as_deref().map(group::find).transpose()?;
        let socket = Socket::make(config, group)?;
        let audience = Audience::serve(socket, Watchers { group }, Watched::of(&settings.id));
        let audience =
            audience.map_err(|source| SocketError::Make { path: config.endpoint.clone(), source })?;
        let shared = Arc::new(TopState { audience, board, reporter: Mutex::new(None) });
        Ok(Delivery::of(Self { shared, metrics: Metrics::of(settings) }))
    }

    /// Looks for what would keep the exporter from starting.
    ///
    /// # Errors
    /// As [`start`](Self::start), as far as looking can find out.
    pub fn check(config: &Config) -> Result<(), StartError> {
        config.group.as_deref().map(group::find).transpose()?;
        Ok(Socket::check(config)?)
    }
}

impl TopState {
    fn take(&self, batch: &Batch) {
        let mut reporter = self.reporter.lock().unwrap_or_else(PoisonError::into_inner);
        let reporter = reporter.get_or_insert_with(|| Reporter::new(Arc::clone(&self.board)));
        for report in reporter.take(batch) {
            self.audience.send(report);
        }
    }

    /// Forgets what those who watched have seen. The next to come begins anew.
    fn rest(&self) {
        *self.reporter.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Deliver for TopExporter {
    fn deliver(&mut self, batch: Batch) -> Work {
        let (shared, done) = (Arc::clone(&self.shared), batch.watermark);
        self.metrics.sent(batch.sample_count());
        if done == Watermark::END {
            // A successor may listen on the same path once this is answered.
            return Work::asynchronous(done, async move { shared.audience.stop().await });
        }
        if shared.audience.is_empty() {
            shared.rest();
            return Work::nothing(done);
        }
        Work::blocking(done, move || shared.take(&batch))
    }
}

impl fmt::Debug for TopExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopExporter").finish_non_exhaustive()
    }
}
