//! The stage.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::{fmt, io};

use exporterhelper::{Answer, Delivery, Metrics, Settings, Stopped};
use otlp_profiles::{DEFAULT_REQUEST_BYTES, Request, Windows, json};
use pdata::{Batch, Watermark};
use tower::Service;

use crate::config::Config;
use crate::error::OpenError;
use crate::lines::{Lines, ends_torn};

/// Gathers batches into windows and appends each as a line of OTLP/JSON.
///
/// Encoding and writing run on a thread of the runtime's blocking pool, one window at a time: the
/// exporter is not ready until the last one is written. A window that cannot be written is counted,
/// logged once per outage, and given up on.
pub struct FileExporter {
    windows: Windows,
    output: Arc<Mutex<Output>>,
    delivery: Delivery,
}

impl FileExporter {
    /// Opens the file, and truncates it unless `append` is set.
    ///
    /// # Errors
    /// [`OpenError`] names the path and what to do if it cannot be opened for writing.
    pub fn open(settings: &Settings, config: Config) -> Result<Self, OpenError> {
        let file = open(&config).map_err(|source| OpenError::new(config.path.clone(), source))?;
        let metrics = Metrics::of(settings);
        let output = Output { lines: file, path: config.path, buffer: Vec::new(), failing: false, metrics };
        Ok(Self {
            // The bound of a request sent by gRPC, so that a line can be sent on as it is.
            windows: Windows::new(config.window, DEFAULT_REQUEST_BYTES),
            output: Arc::new(Mutex::new(output)),
            delivery: Delivery::default(),
        })
    }
}

fn open(config: &Config) -> io::Result<Lines<File>> {
    let mut options = OpenOptions::new();
    // Profiles name what a host runs; like the Collector's file exporter, for the owner alone.
    options.append(true).create(true).mode(0o600);
    if !config.append {
        let file = options.open(&config.path)?;
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        return Ok(Lines::new(file, false));
    }
    // Reading tells whether the last line is whole; a pipe that can only be written is taken as empty.
    let readable = options.clone().read(true).open(&config.path);
    match readable {
        Ok(mut file) => {
            let torn = ends_torn(&mut file)?;
            Ok(Lines::new(file, torn))
        }
        Err(_) => Ok(Lines::new(options.open(&config.path)?, false)),
    }
}

impl Service<Batch> for FileExporter {
    type Response = Watermark;
    type Error = Stopped;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        self.delivery.poll_idle(cx).map(Ok)
    }

    fn call(&mut self, batch: Batch) -> Answer {
        let finished = self.windows.push(&batch);
        if finished.requests.is_empty() {
            return Delivery::nothing(finished.done);
        }
        let output = Arc::clone(&self.output);
        self.delivery.start_blocking(finished.done, move || {
            // A panic in an earlier window left at worst a torn line, which is known.
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            finished.requests.iter().for_each(|request| output.write(request));
        })
    }
}

impl fmt::Debug for FileExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileExporter").field("output", &self.output).finish_non_exhaustive()
    }
}

struct Output {
    lines: Lines<File>,
    path: PathBuf,
    /// Kept between lines for its memory.
    buffer: Vec<u8>,
    /// The last line could not be written.
    failing: bool,
    metrics: Metrics,
}

impl Output {
    fn write(&mut self, request: &Request) {
        self.buffer.clear();
        json::write_request(&request.message().unwrap_or_default(), &mut self.buffer);
        self.buffer.push(b'\n');
        let path = self.path.display();
        match self.lines.write(&self.buffer) {
            Ok(()) => {
                self.metrics.sent(request.samples);
                if std::mem::take(&mut self.failing) {
                    tracing::info!(%path, "writing profiles again");
                }
            }
            Err(error) => {
                self.metrics.send_failed(request.samples, &error);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%path, %error, "cannot write profiles, dropping them until it works");
                }
            }
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("path", &self.path)
            .field("failing", &self.failing)
            .finish_non_exhaustive()
    }
}
