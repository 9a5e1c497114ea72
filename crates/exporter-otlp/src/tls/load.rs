//! PEM files and texts to the configuration by which rustls makes connections.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use configtypes::Secret;
use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion, version};

use super::verify::AnyServer;
use crate::config::{TlsConfig, TlsVersion};
use crate::error::ConnectError;

/// Reads the files, or the texts in their place.
///
/// # Errors
/// An error that names the key at fault.
pub(super) fn client(config: &TlsConfig, alpn: &[&[u8]]) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(config))
        .map_err(ConnectError::Tls)?;
    // Read even if nobody is verified by them: a key that cannot be used is a fault all the same.
    let authorities = authorities(config)?;
    let builder = if config.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer::new(provider as Arc<CryptoProvider>)))
    } else {
        builder.with_root_certificates(authorities)
    };
    let mut client = identify(builder, config)?;
    client.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(client)
}

fn versions(config: &TlsConfig) -> Vec<&'static SupportedProtocolVersion> {
    let min = config.min_version.unwrap_or(TlsVersion::Tls12);
    let max = config.max_version.unwrap_or(TlsVersion::Tls13);
    let known = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
    known.into_iter().filter(|(name, _)| (min..=max).contains(name)).map(|(_, version)| version).collect()
}

/// The authorities that may vouch for a server. As in the Collector, those that the user names take the place of the
/// system's, unless the user asks for both.
fn authorities(config: &TlsConfig) -> Result<RootCertStore, ConnectError> {
    let mut store = RootCertStore::empty();
    let named = Pem::of("ca", config.ca_file.as_deref(), config.ca_pem.as_ref())?;
    for (pem, certificate) in
        named.iter().map(|pem| Ok((pem, pem.certificates()?))).collect::<Result<Vec<_>, _>>()?
    {
        for certificate in certificate {
            store.add(certificate).map_err(|error| pem.bad(error))?;
        }
    }
    if !config.insecure_skip_verify && (named.is_none() || config.include_system_ca_certs_pool) {
        let system = rustls_native_certs::load_native_certs();
        let (added, _ignored) = store.add_parsable_certificates(system.certs);
        if added == 0 && named.is_none() {
            return Err(ConnectError::NoSystemCertificates);
        }
    }
    Ok(store)
}

/// Adds the agent's own certificate, if it has one.
fn identify(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    config: &TlsConfig,
) -> Result<ClientConfig, ConnectError> {
    let certificate = Pem::of("cert", config.cert_file.as_deref(), config.cert_pem.as_ref())?;
    let key = Pem::of("key", config.key_file.as_deref(), config.key_pem.as_ref())?;
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(builder.with_no_client_auth()) };
    let der = PrivateKeyDer::from_pem_slice(&key.text).map_err(|error| key.bad(error))?;
    builder.with_client_auth_cert(certificate.certificates()?, der).map_err(|error| key.bad(error))
}

/// A PEM text, and its name in errors.
struct Pem {
    key: String,
    place: String,
    text: Vec<u8>,
}

impl Pem {
    /// The source that `NAME_file` or `NAME_pem` names.
    fn of(name: &str, file: Option<&Path>, text: Option<&Secret>) -> Result<Option<Self>, ConnectError> {
        if let Some(path) = file {
            let key = format!("{name}_file");
            let place = path.display().to_string();
            return match fs::read(path) {
                Ok(text) => Ok(Some(Self { key, place, text })),
                Err(source) => Err(ConnectError::ReadFile { key, path: path.into(), source }),
            };
        }
        let inline = |text: &Secret| text.expose().as_bytes().to_vec();
        Ok(text.map(|text| Self {
            key: format!("{name}_pem"),
            place: "its text".to_owned(),
            text: inline(text),
        }))
    }

    /// The certificates of the text, one at least.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
        let found = CertificateDer::pem_slice_iter(&self.text).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|error| self.bad(error))?;
        if found.is_empty() {
            return Err(ConnectError::NoCertificate { key: self.key.clone(), place: self.place.clone() });
        }
        Ok(found)
    }

    fn bad(&self, error: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
        ConnectError::BadPem { key: self.key.clone(), place: self.place.clone(), source: Box::new(error) }
    }
}
