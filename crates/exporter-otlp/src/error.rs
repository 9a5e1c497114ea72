//! What can go wrong, apart from requests that fail, which are counted and given up on.

use std::io;
use std::path::PathBuf;

/// The exporter cannot be set up: begins with the key that is at fault. An unreachable server is no such
/// error.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration has faults that [`Config::validate`](crate::Config::validate) reports.
    #[error("{0}")]
    Config(String),
    /// A file of the TLS configuration cannot be read.
    #[error("tls::{key}: cannot read {}", path.display())]
    ReadFile {
        /// Its key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the TLS configuration was read, and holds no certificate.
    #[error("tls::{key}: {} holds no certificate, expected one as PEM", path.display())]
    NoCertificate {
        /// Its key.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// What is in a file of the TLS configuration cannot be used.
    #[error("tls::{key}: cannot be used, check that {} is PEM", path.display())]
    BadFile {
        /// Its key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// There are no certificates to verify a server by.
    #[error(
        "tls::ca_file: is missing, and the system's certificates cannot be used: \
             install them (Debian: ca-certificates) or name a file"
    )]
    NoSystemCertificates(#[source] tonic::transport::Error),
}
