//! How the agent reports on itself: log lines to standard error, metrics to Prometheus.

mod endpoint;
mod logs;
mod process;

use thiserror::Error;

use crate::config::Telemetry;

/// Why the agent cannot report on itself.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The name of the metrics endpoint means no address.
    #[error("{key}::host: cannot resolve {host:?}: {reason}", key = endpoint::KEY)]
    Resolve {
        /// Host as configured.
        host: String,
        /// Why.
        reason: String,
    },
    /// The metrics endpoint cannot be opened.
    #[error(
        "{key}: cannot listen on {address}: {reason}; set another port there, or service::telemetry::metrics::level: none",
        key = endpoint::KEY
    )]
    Listen {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// The process has a log subscriber or metrics recorder already.
    #[error("telemetry is already installed in this process")]
    Installed,
}

/// Starts logging and, unless its level is `none`, the metrics endpoint. Once in a process, inside a
/// Tokio runtime.
///
/// # Errors
/// [`TelemetryError`] if the endpoint cannot be opened.
pub fn install(config: &Telemetry) -> Result<(), TelemetryError> {
    logs::install(config.logs)?;
    if let Some(prometheus) = config.endpoint() {
        endpoint::install(prometheus)?;
        crate::metrics::describe();
        tokio::spawn(process::measure());
    }
    Ok(())
}
