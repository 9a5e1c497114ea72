//! The stage that counts samples, and its server.

use std::cmp::Reverse;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use confighttp::{ListenError, Server};
use exporterhelper::{Deliver, Delivery, DeliverySettings, Metrics, Work};
use foldhash::HashMap;
use metrics::Gauge;
use pdata::{Batch, Comm, ContextKey, Event, ImageKey, Measure, Sample, Watermark};

use crate::config::Config;
use crate::labels::Label;
use crate::series_labels::SeriesLabels;
use crate::serve::{Page, router};
use crate::table::{Table, Totals};

/// Counts batches as they come, and serves the counters at `/metrics` until the stream ends.
///
/// A batch is acked at once with its own watermark, since it only has to be counted. The end of the stream is acked
/// when the port is free again: a successor may then listen there.
pub struct PrometheusExporter {
    table: Arc<Mutex<Table>>,
    server: Server,
    metrics: Metrics,
    series: Gauge,
    labels: Vec<Label>,
}

impl PrometheusExporter {
    /// Listens on the endpoint of the configuration, which has been validated. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`] if the endpoint cannot be listened on.
    pub fn start(settings: &DeliverySettings, config: Config) -> Result<Delivery<Self>, ListenError> {
        let table = Arc::new(Mutex::new(Table::new(config.max_series, config.metric_expiration)));
        let labels = config.labels.clone();
        let config = Arc::new(config);
        let page = Page { config: Arc::clone(&config), table: Arc::clone(&table) };
        let server = Server::start(&config.endpoint, router(page))?;
        let address = server.address();
        tracing::info!(exporter = &*settings.id, %address, "Serving profiles as metrics.");
        let series = crate::metrics::series(&settings.id);
        Ok(Delivery::of(Self { table, server, metrics: Metrics::of(settings), series, labels }))
    }

    /// Address of the server: the port that was free if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn count(&self, batch: &Batch) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // The end is no instant.
        let last = batch.events.last().map(Event::at);
        let end = batch.watermark == Watermark::END;
        let now = if end { last } else { Some(batch.watermark.at()) };
        if let Some(now) = now {
            for (sample, totals) in by_image(batch) {
                table.count(SeriesLabels::of(sample, &self.labels), totals, now);
            }
        }
        for event in batch.events.iter() {
            if let Event::Loss(loss) = event {
                table.lose(loss.reason, loss.count);
            }
        }
        if let Some(now) = now {
            table.advance(now, batch.clock.unix(now));
        }
        self.series.set(u32::try_from(table.len()).unwrap_or(u32::MAX));
        self.metrics.sent(batch.sample_count());
    }
}

/// Sums of each image in each context, each with one of its samples: labels are then made once for each of them in a
/// batch, not for each sample. Threads of unknown processes are distinguished by their names. The image that used most
/// comes first: should there be room for one more series, it gets the room.
fn by_image(batch: &Batch) -> Vec<(&Sample, Totals)> {
    type InContext = (ImageKey, ContextKey);
    let mut images: HashMap<(InContext, Option<Comm>), (&Sample, Totals)> = HashMap::default();
    for sample in batch.samples() {
        // The counters are of CPU time, of which a thread that is off the CPU uses none.
        let Measure::OnCpu { period } = sample.measure else { continue };
        let image = sample.image.as_ref();
        let key = image.map_or((sample.key, ContextKey::default()), |image| image.identity());
        let name = sample.image.is_none().then_some(sample.comm);
        let (_, totals) = images.entry((key, name)).or_insert((sample, Totals::default()));
        totals.add(Totals { samples: 1, cpu: period });
    }
    let mut images: Vec<_> = images.into_values().collect();
    images.sort_by_key(|(_, totals)| Reverse(totals.cpu));
    images
}

impl Deliver for PrometheusExporter {
    fn deliver(&mut self, batch: Batch) -> Work {
        self.count(&batch);
        if batch.watermark != Watermark::END {
            return Work::nothing(batch.watermark);
        }
        Work::asynchronous(Watermark::END, self.server.stop())
    }
}

impl fmt::Debug for PrometheusExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusExporter").field("address", &self.address()).finish_non_exhaustive()
    }
}
