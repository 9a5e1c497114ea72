//! The authorities that the API server is verified by: a file of certificates, which whoever runs the cluster may
//! replace.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::ApiError;
use crate::mounted_file;

/// The authorities of a cluster.
#[derive(Debug)]
pub(crate) struct Authorities {
    file: PathBuf,
    /// Number of certificates of the file that were of no use when it was read last.
    unusable: AtomicUsize,
}

impl Authorities {
    /// The authorities whose certificates are in `file`, in PEM.
    pub(crate) const fn in_file(file: PathBuf) -> Self {
        Self { file, unusable: AtomicUsize::new(0) }
    }

    /// The certificates that the file has now. Those that are of no use are left out, as they vouch for nobody: a
    /// bundle of several clusters is not to fail because of one of them. The log says so once, and not with each
    /// connection.
    ///
    /// # Errors
    /// If the file cannot be read, or has no certificate that is of use.
    pub(crate) async fn read(&self) -> Result<RootCertStore, ApiError> {
        let pem = mounted_file::read(&self.file).await?;
        let (store, unusable) = usable(&pem);
        if store.is_empty() {
            let reason =
                if unusable > 0 { "has no certificate that can be used" } else { "has no certificate" };
            return Err(ApiError::BadFile { file: self.file.clone(), reason });
        }
        // Relaxed: nothing but the number is shared.
        if self.unusable.swap(unusable, Ordering::Relaxed) != unusable && unusable > 0 {
            let file = self.file.display();
            tracing::warn!(%file, unusable, "Certificates of the cluster's authorities cannot be used: the others are.");
        }
        Ok(store)
    }
}

/// The certificates in a text of PEM, and how many there are beside them that are none.
fn usable(pem: &[u8]) -> (RootCertStore, usize) {
    let (mut store, mut unusable) = (RootCertStore::empty(), 0);
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.is_ok_and(|certificate| store.add(certificate).is_ok());
        unusable += usize::from(!added);
    }
    (store, unusable)
}

#[cfg(test)]
mod tests {
    use ::tests::api_server::ApiServer;
    use proptest::prelude::*;

    use super::*;

    /// A certificate whose bytes are not those of one.
    const ODD: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    /// One that is no base64.
    const NO_BASE64: &str = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n";

    #[tokio::test]
    async fn one_odd_certificate_does_not_spoil_the_others() {
        let server = ApiServer::start();
        let good = std::fs::read_to_string(server.ca_file()).unwrap();
        let counts = |pem: &str| {
            let (store, unusable) = usable(pem.as_bytes());
            (store.len(), unusable)
        };
        assert_eq!(counts(&good), (1, 0));
        assert_eq!(counts(&format!("{ODD}{good}# a comment\n{KEY}{NO_BASE64}{good}")), (2, 2));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.crt");
        let authorities = Authorities::in_file(file.clone());
        let error = async |pem: &str| {
            std::fs::write(&file, pem).unwrap();
            authorities.read().await.err().map(|error| error.to_string())
        };
        let refused = |reason| Some(format!("{} {reason}", file.display()));
        assert_eq!(error(&format!("{ODD}{good}")).await, None);
        assert_eq!(authorities.unusable.load(Ordering::Relaxed), 1);
        assert_eq!(error(ODD).await, refused("has no certificate that can be used"));
        assert_eq!(error("").await, refused("has no certificate"));
        assert_eq!(error(KEY).await, refused("has no certificate"));
    }

    proptest! {
        /// Any bytes are certificates or none: no panic, and no authority that nobody has written.
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, body in "[A-Za-z0-9+/=\n-]{0,200}") {
            prop_assert!(usable(&bytes).0.is_empty());
            let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
            prop_assert!(usable(pem.as_bytes()).0.is_empty());
        }
    }
}
