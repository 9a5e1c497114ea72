//! TLS from the files the user named.

use std::fs;
use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::config::TlsConfig;
use crate::error::ConnectError;

/// How a certificate begins in a PEM file.
const PEM_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// The endpoint, spoken to with TLS. Reads the files.
///
/// # Errors
/// The key of the file that cannot be read or used, or [`ConnectError::NoSystemCertificates`].
pub(crate) fn secure(endpoint: Endpoint, config: &TlsConfig) -> Result<Endpoint, ConnectError> {
    let mut tls = match &config.ca_file {
        // As in the Collector: instead of the system's, not beside them.
        Some(path) => {
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates("ca_file", path)?))
        }
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some(name) = &config.server_name_override {
        tls = tls.domain_name(name);
    }
    // Without the agent's own certificate first, so that it is known which file is at fault.
    let endpoint = endpoint.tls_config(tls.clone()).map_err(|source| match &config.ca_file {
        Some(path) => ConnectError::BadFile { key: "ca_file", path: path.clone(), source },
        None => ConnectError::NoSystemCertificates(source),
    })?;
    let (Some(cert), Some(key)) = (&config.cert_file, &config.key_file) else {
        return Ok(endpoint);
    };
    let identity = Identity::from_pem(certificates("cert_file", cert)?, read("key_file", key)?);
    endpoint.tls_config(tls.identity(identity)).map_err(|source| ConnectError::BadFile {
        key: "key_file",
        path: key.clone(),
        source,
    })
}

/// The text of a file of certificates. One that holds none is refused here: it would be taken as it is, and no
/// server verified by it.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<u8>, ConnectError> {
    let text = read(key, path)?;
    let found = text.windows(PEM_CERTIFICATE.len()).any(|bytes| bytes == PEM_CERTIFICATE.as_bytes());
    if found { Ok(text) } else { Err(ConnectError::NoCertificate { key, path: path.into() }) }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ConnectError> {
    fs::read(path).map_err(|source| ConnectError::ReadFile { key, path: path.into(), source })
}
