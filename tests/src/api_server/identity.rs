//! Certificates of servers.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The authority that clients verify the server by, and the certificate that the server shows.
pub(crate) struct Identity {
    /// The certificate of the authority, in PEM.
    pub(crate) authority: String,
    pub(crate) server: ServerConfig,
}

/// A new authority, and a server of the loopback address that it vouches for.
pub(crate) fn create() -> Identity {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no name is a good one");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
    let own_key = key();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a good name");
    let certificate = params.signed_by(&own_key, &authority).expect("a certificate");
    let certificate = CertificateDer::from(certificate.der().to_vec());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there is TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .expect("the key is that of the certificate");
    Identity { authority: authority.pem(), server }
}
