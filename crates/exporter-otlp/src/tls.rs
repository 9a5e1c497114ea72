//! TLS from the files the user named.

use std::fs;
use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::config::TlsConfig;
use crate::error::ConnectError;

/// Settings for a connection with TLS. Reads the files.
///
/// # Errors
/// [`ConnectError::ReadFile`]. What is in the files is judged later.
pub(crate) fn settings(config: &TlsConfig) -> Result<ClientTlsConfig, ConnectError> {
    let mut tls = ClientTlsConfig::new();
    tls = match &config.ca_file {
        // As in the Collector: instead of the system's, not beside them.
        Some(path) => tls.ca_certificate(Certificate::from_pem(read("ca_file", path)?)),
        None => tls.with_native_roots(),
    };
    if let (Some(cert), Some(key)) = (&config.cert_file, &config.key_file) {
        tls = tls.identity(Identity::from_pem(read("cert_file", cert)?, read("key_file", key)?));
    }
    if let Some(name) = &config.server_name_override {
        tls = tls.domain_name(name);
    }
    Ok(tls)
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ConnectError> {
    fs::read(path).map_err(|source| ConnectError::ReadFile { key, path: path.into(), source })
}
