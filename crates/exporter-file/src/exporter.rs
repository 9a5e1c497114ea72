//! The stage that writes windows to files.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use exporterhelper::{Deliver, Delivery, DeliverySettings, Metrics, Work};
use pdata::{Batch, Watermark};
use tokio::runtime::Handle;

use crate::config::Config;
use crate::error::OpenError;
use crate::format::Content;
use crate::output::Output;
use crate::source::Source;
use crate::template::Template;

/// Gathers batches into windows and writes each to a file.
///
/// Encoding and writing run on a thread of the runtime's blocking pool, one window at a time: the exporter is not ready
/// until the last one is written. A window that cannot be written is counted, logged once per outage, and dropped.
pub struct FileExporter {
    source: Source,
    writer: Arc<Mutex<Writer>>,
}

impl FileExporter {
    /// Finds out whether the file can be written. The file is opened for the first window, and truncated then unless
    /// `append` is set, it is rotated, or the time is in its path.
    ///
    /// An exporter that takes the place of another in the same process needs `append`: the records of its predecessor
    /// are ours, whatever the user wants done with older ones.
    ///
    /// # Errors
    /// [`OpenError`] names the path and the remedy if the file cannot be opened for writing.
    pub fn open(settings: &DeliverySettings, config: Config) -> Result<Delivery<Self>, OpenError> {
        let path = config.path.clone();
        let failed = |source| OpenError::new(path.clone(), source);
        let template = Template::new(&path).map_err(|fault| failed(io::Error::other(fault.to_string())))?;
        let source = Source::of(&config);
        let flush_interval = config.flush_interval;
        let doubt = Self::doubt(&config);
        let output = Output::open(config, template).map_err(failed)?;
        if let Some(doubt) = doubt {
            tracing::warn!(
                exporter = &*settings.id,
                doubt,
                "Others can decide what becomes of the profiles."
            );
        }
        let metrics = Metrics::of(settings);
        let writer = Writer { output, path, failing: false, metrics, flush_interval, sync_planned: false };
        Ok(Delivery::of(Self { source, writer: Arc::new(Mutex::new(writer)) }))
    }

    /// Looks for reasons for which [`open`](Self::open) would fail. Nothing is changed.
    ///
    /// # Errors
    /// The same as those of `open`, as far as looking can find out.
    pub fn check(config: &Config) -> Result<(), OpenError> {
        let failed = |source| OpenError::new(config.path.clone(), source);
        let template =
            Template::new(&config.path).map_err(|fault| failed(io::Error::other(fault.to_string())))?;
        Output::check(config, &template).map_err(failed)
    }

    /// Who else can decide what becomes of the file, as a sentence; `None` if nobody can.
    #[must_use]
    pub fn doubt(config: &Config) -> Option<String> {
        openfile::doubt(&Template::new(&config.path).ok()?.in_known_directory()?)
    }

    #[cfg(test)]
    pub(crate) fn wants_sync(&self) -> bool {
        lock(&self.writer).output.wants_sync()
    }
}

impl Deliver for FileExporter {
    fn deliver(&mut self, batch: Batch) -> Work {
        let (finished, acked) = self.source.push(&batch);
        let at_end = acked == Watermark::END;
        if finished.is_empty() && !at_end {
            return Work::nothing(acked);
        }
        let writer = Arc::clone(&self.writer);
        Work::blocking(acked, move || {
            let mut locked = lock(&writer);
            finished.contents().iter().for_each(|content| locked.write(content));
            if at_end {
                locked.sync();
            } else {
                locked.plan_sync(&writer);
            }
        })
    }
}

impl fmt::Debug for FileExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileExporter").field("writer", &self.writer).finish_non_exhaustive()
    }
}

fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    // A panic in an earlier window left at worst the rest of a record to write first, which the writer knows.
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The output, with counts and log lines of each record's outcome.
struct Writer {
    output: Output,
    path: PathBuf,
    /// True if the last record could not be written.
    failing: bool,
    metrics: Metrics,
    flush_interval: Duration,
    /// True if a task waits until it is time to put written records on disk.
    sync_planned: bool,
}

impl Writer {
    fn write(&mut self, content: &Content) {
        let path = self.path.display();
        match self.output.write(content) {
            Ok(()) => {
                self.metrics.sent(content.samples());
                if std::mem::take(&mut self.failing) {
                    tracing::info!(%path, "Writing profiles again.");
                }
            }
            Err(error) => {
                self.metrics.send_failed(content.samples(), &error);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%path, %error, "Cannot write profiles. Dropping them until it works.");
                }
            }
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.output.sync() {
            tracing::error!(path = %self.path.display(), %error, "Cannot put profiles on disk.");
        }
    }

    /// Plans the time at which written records are put on disk.
    fn plan_sync(&mut self, own: &Arc<Mutex<Self>>) {
        if self.sync_planned || !self.output.wants_sync() {
            return;
        }
        self.sync_planned = true;
        // An exporter that is gone has received the end of the stream and synced its file then.
        let (writer, after): (Weak<Mutex<Self>>, _) = (Arc::downgrade(own), self.flush_interval);
        Handle::current().spawn(async move {
            tokio::time::sleep(after).await;
            let Some(writer) = writer.upgrade() else { return };
            let synced = tokio::task::spawn_blocking(move || {
                let mut locked = lock(&writer);
                locked.sync_planned = false;
                locked.sync();
            });
            // Failing means that the runtime ends.
            let _ended = synced.await;
        });
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("path", &self.path)
            .field("failing", &self.failing)
            .finish_non_exhaustive()
    }
}
