//! The stage that prints reports.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use exporterhelper::{Deliver, Delivery, DeliverySettings, Metrics, Work};
use pdata::Batch;
use windows::{Closed, EventWindows};

use crate::config::Config;
use crate::report::report;
use crate::tally::Tally;

/// Gathers batches into windows and prints a report of each.
///
/// Reports are written on a thread of the runtime's blocking pool, one window at a time, since a
/// terminal or a pager may make it wait. When the reader is gone (a broken pipe), that is logged
/// and nothing is printed any more; the samples are counted as not sent.
pub struct DebugExporter {
    config: Config,
    windows: EventWindows<Tally>,
    output: Arc<Mutex<Output>>,
}

/// The stream that reports are printed to.
struct Output {
    /// The stream; `None` once nobody reads.
    out: Option<Box<dyn Write + Send>>,
    metrics: Metrics,
}

impl DebugExporter {
    /// An exporter that prints to `out`.
    #[must_use]
    pub fn new(
        settings: &DeliverySettings,
        config: Config,
        out: impl Write + Send + 'static,
    ) -> Delivery<Self> {
        let output = Output { out: Some(Box::new(out)), metrics: Metrics::of(settings) };
        let windows = EventWindows::new(config.window);
        Delivery::of(Self { windows, config, output: Arc::new(Mutex::new(output)) })
    }
}

impl Deliver for DebugExporter {
    fn deliver(&mut self, batch: Batch) -> Work {
        let start = || Tally::new(self.config.verbosity, batch.clock);
        let (closed, acked) = self.windows.push(&batch, start);
        if closed.is_empty() {
            return Work::nothing(acked);
        }
        let (config, output) = (self.config.clone(), Arc::clone(&self.output));
        Work::blocking(acked, move || {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            closed.iter().for_each(|window| output.print(&config, window));
        })
    }
}

impl Output {
    fn print(&mut self, config: &Config, window: &Closed<Tally>) {
        let samples = window.gathered.samples;
        let Some(out) = &mut self.out else {
            return self.metrics.send_failed(samples, &"nobody reads standard output any more");
        };
        let text = report(config, window);
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => self.metrics.sent(samples),
            Err(error) => {
                self.metrics.send_failed(samples, &error);
                tracing::warn!(%error, "Cannot print profiles. Printing no more.");
                self.out = None;
            }
        }
    }
}

impl fmt::Debug for DebugExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugExporter").field("config", &self.config).finish_non_exhaustive()
    }
}
