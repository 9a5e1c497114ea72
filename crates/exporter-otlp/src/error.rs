//! Errors of setting up an exporter, which requests that fail are not.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// The exporter cannot be set up; the text begins with the key that is at fault. An unreachable server is no such
/// error.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum ConnectError {
    /// The configuration or the environment has faults that `validate` reports.
    #[error("{0}")]
    Config(String),
    /// A file of the TLS configuration cannot be read.
    #[error("tls::{key}: cannot read {}", path.display())]
    ReadFile {
        key: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file or text that the TLS configuration names holds no certificate.
    #[error("tls::{key}: {place} holds no certificate, expected one as PEM")]
    NoCertificate { key: String, place: String },
    /// A file or text that the TLS configuration names cannot be used.
    #[error("tls::{key}: cannot be used, check that {place} is PEM")]
    BadPem {
        key: String,
        place: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The versions of TLS, or the certificate and its key, do not go together.
    #[error("tls: certificate, key and versions cannot be used together")]
    Tls(#[source] rustls::Error),
    /// There are no certificates to verify a server by.
    #[error(
        "tls::ca_file: is missing, and the system's certificates cannot be used: \
             install them (Debian: ca-certificates) or name a file"
    )]
    NoSystemCertificates,
}
