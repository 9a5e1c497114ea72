//! The exporter's stage.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use componentstatus::Board;
use exporterhelper::{Deliver, Delivery, DeliverySettings, Metrics, Work};
use pdata::{Batch, Event, Watermark};

use crate::audience::Audience;
use crate::config::Config;
use crate::error::{SocketError, StartError};
use crate::group;
use crate::metrics::Watched;
use crate::peers::Watchers;
use crate::reporter::Reporter;
use crate::socket::Socket;

/// Sends a summary of every second to the programs that are attached to the exporter's socket.
///
/// While no program is attached, a batch is acked and dropped once its losses are counted: a program that was cut off
/// and attaches again is sent their sum. Otherwise it is summarised on a thread that may block, and the answer is the
/// batch's own watermark. A program that does not read misses seconds, and holds up no other.
pub struct TopExporter {
    shared: Arc<TopState>,
    metrics: Metrics,
}

struct TopState {
    audience: Audience,
    board: Arc<Board>,
    /// The reporter of the seconds; `None` while there is no watcher.
    reporter: Mutex<Option<Reporter>>,
}

impl TopExporter {
    /// Listens on the socket of a valid configuration. The stages that the reports show are those on `board`. Needs a
    /// Tokio runtime.
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

    /// Checks for faults for which the exporter could not start.
    ///
    /// # Errors
    /// The same as of [`start`](Self::start), as far as they can be found without starting.
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

    /// Drops the reporter once the last watcher has left, and counts losses alone. The next watcher begins with a new
    /// reporter.
    fn rest(&self, batch: &Batch) {
        let reporter = self.reporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut lost = reporter.map(Reporter::into_losses).unwrap_or_default();
        lost.extend(batch.events.iter().filter_map(|event| match event {
            Event::Loss(loss) => Some((loss.reason.as_str().into(), loss.reason.is_sample(), loss.count)),
            _ => None,
        }));
        self.audience.count(&lost);
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
            shared.rest(&batch);
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
