//! What can go wrong, apart from requests that fail.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// The exporter cannot be set up: begins with the key that is at fault. An unreachable server is no such error.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration has faults that `validate` reports, or the environment has.
    #[error("{0}")]
    Config(String),
    /// A file of the TLS configuration cannot be read.
    #[error("tls::{key}: cannot read {}", path.display())]
    ReadFile {
        /// Its key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the TLS configuration names holds no certificate.
    #[error("tls::{key}: {place} holds no certificate, expected one as PEM")]
    NoCertificate {
        /// Its key.
        key: String,
        /// The file, or that it is text.
        place: String,
    },
    /// What the TLS configuration names cannot be used.
    #[error("tls::{key}: cannot be used, check that {place} is PEM")]
    BadPem {
        /// Its key.
        key: String,
        /// The file, or that it is text.
        place: String,
        /// Why.
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
