//! TLS: the certificates that are trusted, and the effect of files that change.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use exporterhelper::{DeliverySettings, SendError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tower::{Service as _, ServiceExt as _};

use super::grpc::{self, Fake, request};
use super::http;
use super::make::{self, Log};
use crate::{ConnectError, GrpcConfig, HttpConfig, TlsConfig, TlsVersion};

/// A certificate authority, and the files of certificates that it has signed.
pub(super) struct Authority {
    directory: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { directory: tempfile::tempdir().unwrap(), issuer };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    /// Certificate and key of a name, in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn server(&self, name: &str) -> ServerTlsConfig {
        let (certificate, key) = self.sign(name);
        ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
    }

    /// Configuration of a server below tonic; with `clients`, of one that takes only clients with certificates of that
    /// authority.
    pub(super) fn server_config(&self, name: &str, clients: Option<&Self>) -> ServerConfig {
        let (certificate, key) = self.sign(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(authority.issuer.pem().as_bytes()).unwrap())
                    .unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        builder.with_single_cert(vec![certificate], key).unwrap()
    }
}

fn secure(address: SocketAddr, tls: TlsConfig) -> GrpcConfig {
    GrpcConfig { tls, ..grpc::config(address) }
}

fn believes(ca_file: &Path) -> TlsConfig {
    TlsConfig { ca_file: Some(ca_file.into()), ..TlsConfig::default() }
}

#[tokio::test]
async fn a_server_is_verified_by_the_named_authority_and_name() {
    let authority = Authority::new();
    let (address, _server) = Fake::collector().serve(Some(authority.server("collector.test"))).await;
    let named =
        TlsConfig { server_name_override: Some("collector.test".into()), ..believes(&authority.ca_file()) };
    grpc::send(&secure(address, named.clone())).await.unwrap();
    let inline =
        TlsConfig { ca_file: None, ca_pem: Some(authority.issuer.pem().as_str().into()), ..named.clone() };
    grpc::send(&secure(address, inline)).await.unwrap();
    let misnamed = TlsConfig { server_name_override: None, ..named.clone() };
    let error = grpc::send(&secure(address, misnamed)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("certificate not valid for name"), "{error}");
    let other = Authority::new();
    let stranger = TlsConfig { ca_file: Some(other.ca_file()), ..named.clone() };
    let error = grpc::send(&secure(address, stranger.clone())).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    // With this key, any certificate is taken.
    let anyone = TlsConfig { insecure_skip_verify: true, ..stranger };
    grpc::send(&secure(address, anyone)).await.unwrap();
}

#[test]
fn a_server_that_is_not_verified_is_a_loud_warning() {
    let log = Log::default();
    let _guard = log.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tls = TlsConfig { insecure_skip_verify: true, ..TlsConfig::default() };
        crate::grpc(&DeliverySettings::new("otlp_grpc/x"), &secure("127.0.0.1:1".parse().unwrap(), tls))
            .unwrap();
    });
    let lines = log.lines();
    assert!(
        lines[0]
            .starts_with("WARN Not verifying the server, since tls::insecure_skip_verify is true: ANYONE"),
        "{lines:?}"
    );
    assert!(lines[0].contains("exporter=otlp_grpc/x"), "{lines:?}");
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_shown_our_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let ca = Certificate::from_pem(clients.issuer.pem());
    let (address, _server) =
        Fake::collector().serve(Some(authority.server("localhost").client_ca_root(ca))).await;
    let stranger =
        TlsConfig { server_name_override: Some("localhost".into()), ..believes(&authority.ca_file()) };
    let error = grpc::send(&secure(address, stranger.clone())).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let (certificate, key) = clients.sign("agent");
    let known = TlsConfig {
        cert_file: Some(clients.write("cert.pem", &certificate)),
        key_file: Some(clients.write("key.pem", &key)),
        ..stranger
    };
    grpc::send(&secure(address, known)).await.unwrap();
}

#[tokio::test]
async fn http_speaks_http_2_to_a_server_that_offers_it_and_http_1_to_others() {
    let authority = Authority::new();
    let fake = Fake::collector();
    // The server speaks HTTP/2 only, and answers 200 whatever it is asked.
    let (address, _server) = fake.serve(Some(authority.server("localhost"))).await;
    let config = HttpConfig {
        endpoint: format!("https://localhost:{}", address.port()),
        tls: believes(&authority.ca_file()),
        ..HttpConfig::default()
    };
    let error = http::send(&config).await.unwrap_err();
    assert_eq!(
        error,
        SendError::permanent("the server speaks gRPC, expected HTTP: check the endpoint, or use otlp_grpc")
    );
    let only_1 = HttpConfig { force_attempt_http2: false, ..config.clone() };
    let error = http::send(&only_1).await.unwrap_err();
    assert!(error.is_retryable(), "there is nothing that both speak: {error}");
    let plain = make::http_by_tls(authority.server_config("localhost", None)).await;
    http::send(&HttpConfig { endpoint: format!("https://localhost:{}", plain.port()), ..config })
        .await
        .unwrap();
}

#[tokio::test]
async fn versions_are_bounded() {
    let authority = Authority::new();
    let mut config = authority.server_config("localhost", None);
    config.max_early_data_size = 0;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (certificate, key) = authority.sign("localhost");
    let old = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let address = make::http_by_tls(old).await;
    let with = |tls| HttpConfig {
        endpoint: format!("https://localhost:{}", address.port()),
        tls,
        ..HttpConfig::default()
    };
    http::send(&with(believes(&authority.ca_file()))).await.unwrap();
    let new = TlsConfig { min_version: Some(TlsVersion::Tls13), ..believes(&authority.ca_file()) };
    let error = http::send(&with(new)).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}

/// Each connection uses the files as they are when it is made; bad ones are logged once, and the old ones stay in use.
#[tokio::test]
async fn files_that_change_are_read_again() {
    let log = Log::default();
    let _guard = log.start();
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let (certificate, key) = old.sign("agent");
    let tls = TlsConfig {
        cert_file: Some(authority.write("cert.pem", &certificate)),
        key_file: Some(authority.write("key.pem", &key)),
        ..believes(&authority.ca_file())
    };
    let takes_old = make::http_by_tls(authority.server_config("localhost", Some(&old))).await;
    let takes_new = make::http_by_tls(authority.server_config("localhost", Some(&new))).await;
    let to = |address: SocketAddr| HttpConfig {
        endpoint: format!("https://localhost:{}", address.port()),
        tls: tls.clone(),
        ..HttpConfig::default()
    };
    let (mut first, mut second) = (http::transport(&to(takes_old)), http::transport(&to(takes_new)));
    first.ready().await.unwrap().call(request(9)).await.unwrap();
    second.ready().await.unwrap().call(request(9)).await.unwrap_err();

    authority.write("key.pem", "half a k");
    for _ in 0..2 {
        first.ready().await.unwrap().call(request(9)).await.unwrap();
    }
    let (certificate, key) = new.sign("agent");
    authority.write("cert.pem", &certificate);
    authority.write("key.pem", &key);
    second.ready().await.unwrap().call(request(9)).await.unwrap();
    first.ready().await.unwrap().call(request(9)).await.unwrap_err();
    authority.write("ca.pem", &new.issuer.pem());
    let error = second.ready().await.unwrap().call(request(9)).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn files_are_looked_at_no_more_often_than_the_interval() {
    let authority = Authority::new();
    let address = make::http_by_tls(authority.server_config("localhost", None)).await;
    let tls = TlsConfig {
        reload_interval: Some(std::time::Duration::from_secs(3600)),
        ..believes(&authority.ca_file())
    };
    let config = HttpConfig {
        endpoint: format!("https://localhost:{}", address.port()),
        tls,
        ..HttpConfig::default()
    };
    let mut transport = http::transport(&config);
    authority.write("ca.pem", &Authority::new().issuer.pem());
    for _ in 0..2 {
        transport.ready().await.unwrap().call(request(9)).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_an_error_at_the_start_that_names_its_key() {
    let authority = Authority::new();
    let connect = |tls| {
        let config = secure("127.0.0.1:1".parse().unwrap(), tls);
        crate::grpc(&DeliverySettings::new("otlp_grpc"), &config).unwrap_err()
    };
    let missing = authority.ca_file().with_file_name("none.pem");
    assert_eq!(
        connect(believes(&missing)).to_string(),
        format!("tls::ca_file: cannot read {}", missing.display())
    );
    let garbage =
        authority.write("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let error = connect(believes(&garbage));
    assert!(matches!(&error, ConnectError::BadPem { key, .. } if key == "ca_file"), "{error}");
    let empty = authority.write("empty.pem", "# nothing yet\n");
    let error = connect(believes(&empty));
    assert!(matches!(&error, ConnectError::NoCertificate { key, .. } if key == "ca_file"), "{error}");
    let (certificate, _) = authority.sign("agent");
    let cert_file = Some(authority.write("cert.pem", &certificate));
    for text in ["no key".to_owned(), authority.sign("agent").1] {
        let key_pem = Some(text.as_str().into());
        let error =
            connect(TlsConfig { cert_file: cert_file.clone(), key_pem, ..believes(&authority.ca_file()) });
        assert!(matches!(&error, ConnectError::BadPem { key, .. } if key == "key_pem"), "{error}");
    }
}
