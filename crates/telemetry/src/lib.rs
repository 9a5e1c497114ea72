//! Reports of the agent on itself: log lines, and metrics for Prometheus.
//!
//! Start reading at [`install`]. The metrics that the process records by the macros of `metrics` and the events of
//! `tracing` come here; `config` is the section `service::telemetry`.

pub mod config;

mod endpoint;
mod error;
mod logs;
mod metrics;
mod process;
mod resource;

use std::net::SocketAddr;

use confighttp::{Endpoint, Server};
use tokio::task;
use tracing::info;
use uuid::Uuid;

use crate::config::{Prometheus, Telemetry};
use crate::endpoint::{Shown, Source};
use crate::logs::{Log, Writer};
use crate::metrics::{Registry, Views};
use crate::process::ProcessGauges;
pub use error::TelemetryError;

/// The telemetry of this process, to be changed while it runs. Dropping it closes the metrics endpoint, and waits for a
/// second at most until all lines of the log are written.
#[derive(Debug)]
pub struct Handle {
    log: logs::Control,
    writer: Writer,
    source: Source,
    instance: Uuid,
    endpoint: Option<Open>,
}

/// An endpoint that serves metrics.
#[derive(Debug)]
struct Open {
    /// The endpoint as configured: its port may be 0.
    endpoint: Endpoint,
    server: Server,
}

/// Starts logging and, unless its level is `none`, the metrics endpoint. Once in a process, inside a Tokio runtime.
///
/// # Errors
/// [`TelemetryError`] if the endpoint or an output of the log cannot be opened.
pub fn install(config: &Telemetry) -> Result<Handle, TelemetryError> {
    let (instance, registry) = (Uuid::new_v4(), Registry::new());
    let source = Source::new(registry.clone(), shown(config, instance));
    let endpoint = config.endpoint().map(|reader| open(&source, listen_on(reader))).transpose()?;
    let writer = Writer::start().map_err(TelemetryError::Thread)?;
    let log = Log::open(&config.logs, &resource::attributes(&config.resource, instance), &writer)?;
    // Before the first line, which it may count.
    tokio::spawn(registry.clone().upkeep());
    ::metrics::set_global_recorder(registry).map_err(|_installed| TelemetryError::Installed)?;
    let doubts = log.doubts();
    let log = logs::install(log)?;
    logs::warn_of(doubts);
    source.measures(ProcessGauges::register());
    let handle = Handle { log, writer, source, instance, endpoint };
    handle.announce();
    Ok(handle)
}

impl Handle {
    /// Address at which metrics are served, if they are.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.as_ref().map(|open| open.server.address())
    }

    /// Waits until all lines of the log so far are written, for a second at most.
    pub fn flush(&self) {
        self.writer.flush();
    }

    /// Returns a function that does the same as [`flush`](Self::flush), for code that ends the process on a way of its
    /// own.
    pub fn flusher(&self) -> impl Fn() + Send + use<> {
        let writer = self.writer.clone();
        move || writer.flush()
    }

    /// Applies `config`: another level, other outputs (opened anew, so that files can be rotated), another address. All
    /// or nothing: after an error everything is as before.
    ///
    /// # Errors
    /// [`TelemetryError`] if the endpoint or an output of the log cannot be opened.
    pub async fn apply(&mut self, config: &Telemetry) -> Result<(), TelemetryError> {
        let attributes = resource::attributes(&config.resource, self.instance);
        let (logs, writer) = (config.logs.clone(), self.writer.clone());
        // The file system of an output may hold up whoever opens it.
        let opening = task::spawn_blocking(move || Log::open(&logs, &attributes, &writer));
        let log = opening.await.map_err(TelemetryError::Task)??;
        let endpoint = config.endpoint().map(listen_on);
        let moves = endpoint.as_ref() != self.endpoint.as_ref().map(|open| &open.endpoint);
        if moves {
            self.relocate(endpoint).await?;
        }
        self.source.show(shown(config, self.instance));
        let doubts = log.doubts();
        self.log.replace(log);
        logs::warn_of(doubts);
        if moves {
            self.announce();
        }
        Ok(())
    }

    /// Serves at `endpoint`, if any, and no longer at the endpoint before.
    async fn relocate(&mut self, endpoint: Option<Endpoint>) -> Result<(), TelemetryError> {
        let old = self.endpoint.take();
        let Some(endpoint) = endpoint else {
            close(old).await;
            return Ok(());
        };
        match old {
            // Perhaps the same address by another name: it cannot be open twice.
            Some(Open { endpoint: before, server }) if before.port == endpoint.port => {
                server.stop().await;
                match open(&self.source, endpoint) {
                    Ok(open) => self.endpoint = Some(open),
                    Err(error) => {
                        self.endpoint = open(&self.source, before).ok();
                        return Err(error);
                    }
                }
            }
            old => match open(&self.source, endpoint) {
                Ok(open) => {
                    close(old).await;
                    self.endpoint = Some(open);
                }
                Err(error) => {
                    self.endpoint = old;
                    return Err(error);
                }
            },
        }
        Ok(())
    }

    fn announce(&self) {
        match self.address() {
            Some(address) => info!(endpoint = %format_args!("http://{address}/metrics"), "Serving metrics."),
            None => info!("Serving no metrics."),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.flush();
    }
}

fn open(source: &Source, endpoint: Endpoint) -> Result<Open, TelemetryError> {
    let server = Server::start(&endpoint, source.clone().router()).map_err(TelemetryError::Listen)?;
    Ok(Open { endpoint, server })
}

async fn close(open: Option<Open>) {
    if let Some(open) = open {
        open.server.stop().await;
    }
}

fn listen_on(reader: &Prometheus) -> Endpoint {
    Endpoint::new(&reader.host, reader.port)
}

fn shown(config: &Telemetry, instance: Uuid) -> Shown {
    let reader = config.endpoint().cloned().unwrap_or_default();
    Shown {
        views: Views::new(config.metrics.level, &reader),
        target_info: resource::target_info(&resource::attributes(&config.resource, instance)),
    }
}
