//! Reasons why the agent cannot report on itself.

use confighttp::ListenError;
use thiserror::Error;

/// A reason why the agent cannot report on itself.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum TelemetryError {
    /// The metrics endpoint cannot be opened.
    #[error(
        "service::telemetry::metrics::readers::0::pull::exporter::prometheus: {0}; set another host or port there, or \
         service::telemetry::metrics::level: none"
    )]
    // The error is not the source: the text has it, and the remedy follows.
    Listen(ListenError),
    /// An output of the log cannot be opened.
    #[error("service::telemetry::logs::{key}::{at}: cannot open {path:?}")]
    Output {
        /// Key of the list that the output is in.
        key: &'static str,
        /// Index of the output in the list, from 0.
        at: usize,
        path: String,
        source: std::io::Error,
    },
    /// The system has no thread for the log.
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] std::io::Error),
    /// The thread that opens the outputs of the log has panicked.
    #[error("the outputs of the log cannot be opened")]
    Task(#[source] tokio::task::JoinError),
    /// The process has a log subscriber or metrics recorder already.
    #[error("telemetry is already installed in this process")]
    Installed,
}
