//! What can go wrong, apart from requests that fail, which are counted and given up on.

use std::io;
use std::path::PathBuf;

/// The exporter cannot be set up. An unreachable server is no such error.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration has faults that [`Config::validate`](crate::Config::validate) reports.
    #[error("exporters.otlp.{0}")]
    Config(String),
    /// A file of the TLS configuration cannot be read.
    #[error("exporters.otlp.tls.{key}: cannot read {}", path.display())]
    ReadFile {
        /// Its key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificates or the key cannot be used.
    #[error("exporters.otlp.tls: the certificates cannot be used, check that the files are PEM")]
    Tls(#[source] tonic::transport::Error),
    /// There are no certificates to verify a server by.
    #[error(
        "exporters.otlp.tls.ca_file: is missing, and the system's certificates cannot be used: \
             install them (Debian: ca-certificates) or name a file"
    )]
    NoSystemCertificates(#[source] tonic::transport::Error),
}

/// The exporter is broken.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The runtime is shutting down, or sending has panicked.
    #[error("the task that sends profiles was stopped")]
    Stopped(#[source] tokio::task::JoinError),
}
