//! gRPC to a server in the same process, over loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporterhelper::Settings;
use opentelemetry_proto::tonic::collector::profiles::v1development::profiles_service_server::{
    ProfilesService, ProfilesServiceServer,
};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesServiceRequest, ExportProfilesServiceResponse,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tower::{Service, ServiceExt};

use super::make::{after, samples, second};
use crate::{Compression, Config, ConnectError, Grpc, OtlpExporter, TlsConfig};

/// What a server has received.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<(MetadataMap, ExportProfilesServiceRequest)>>>);

#[tonic::async_trait]
impl ProfilesService for Received {
    async fn export(
        &self,
        request: Request<ExportProfilesServiceRequest>,
    ) -> Result<Response<ExportProfilesServiceResponse>, Status> {
        let metadata = request.metadata().clone();
        self.0.lock().unwrap().push((metadata, request.into_inner()));
        Ok(Response::new(ExportProfilesServiceResponse::default()))
    }
}

impl Received {
    /// Samples of each request.
    fn samples(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(|(_, request)| samples(request)).collect()
    }
}

fn service(received: &Received) -> ProfilesServiceServer<Received> {
    ProfilesServiceServer::new(received.clone()).accept_compressed(CompressionEncoding::Gzip)
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves profiles until the runtime ends.
fn serve(listener: TcpListener, received: &Received, tls: Option<ServerTlsConfig>) {
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls).unwrap();
    }
    let server = server.add_service(service(received));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
}

fn config(address: SocketAddr) -> Config {
    Config {
        endpoint: address.to_string(),
        tls: TlsConfig { insecure: true, ..TlsConfig::default() },
        window: Duration::from_secs(1),
        ..Config::default()
    }
}

async fn export(config: &Config) -> Result<ExportProfilesServiceResponse, Status> {
    let mut grpc = Grpc::new(config).unwrap();
    grpc.ready().await.unwrap().call(ExportProfilesServiceRequest::default()).await
}

#[tokio::test]
async fn windows_arrive_whole_with_headers_and_gzip() {
    let received = Received::default();
    let (listener, address) = listener().await;
    serve(listener, &received, None);
    let mut config = config(address);
    config.headers.insert("x-tenant".into(), "blue".to_owned().into());
    let mut exporter = OtlpExporter::connect(&Settings::new("otlp"), config.clone()).unwrap();
    for n in 0..2 {
        let answer = exporter.ready().await.unwrap().call(second(n, n + 1)).await.unwrap();
        assert_eq!(answer, after(n));
    }
    assert_eq!(received.samples(), [1, 2]);
    let (metadata, _) = received.0.lock().unwrap()[0].clone();
    assert_eq!(metadata.get("x-tenant").unwrap(), "blue");
    assert!(metadata.get("user-agent").unwrap().to_str().unwrap().starts_with("pipeline/"));
    // The server takes the encoding off before it shows the headers to its service; that a server
    // which takes none refuses ours shows that it was there.
    let (plain, address) = self::listener().await;
    let server = Server::builder().add_service(ProfilesServiceServer::new(received.clone()));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(plain)));
    config.endpoint = address.to_string();
    let refused = export(&config).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    config.compression = Compression::None;
    export(&config).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_late_gets_the_windows_from_then_on() {
    let received = Received::default();
    let (listener, address) = listener().await;
    let mut exporter = OtlpExporter::connect(&Settings::new("otlp"), config(address)).unwrap();
    let first = exporter.ready().await.unwrap().call(second(0, 1));
    // Every attempt to connect ends at once until the request is given up on.
    let hang_up = async {
        loop {
            drop(listener.accept().await);
        }
    };
    let answer = tokio::select! {
        answer = first => answer.unwrap(),
        never = hang_up => never,
    };
    assert_eq!(answer, after(0));
    serve(listener, &received, None);
    exporter.ready().await.unwrap().call(second(1, 2)).await.unwrap();
    assert_eq!(received.samples(), [2]);
}

#[tokio::test]
async fn a_server_without_the_service_answers_unimplemented() {
    let (listener, address) = listener().await;
    let server = Server::builder().add_routes(tonic::service::Routes::default());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    assert_eq!(export(&config(address)).await.unwrap_err().code(), Code::Unimplemented);
}

/// Time is paused: it leaps to the deadline when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_costs_the_timeout_and_no_more() {
    let (_listener, address) = listener().await;
    let config = Config { timeout: Duration::from_secs(3), ..config(address) };
    let start = tokio::time::Instant::now();
    let status = export(&config).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert_eq!(start.elapsed().as_secs(), 3);
}

/// An authority, and files of what it has signed.
struct Authority {
    directory: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
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

    fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn server(&self, name: &str) -> ServerTlsConfig {
        let (certificate, key) = self.sign(name);
        ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))
    }
}

fn secure(address: SocketAddr, tls: TlsConfig) -> Config {
    Config { tls, ..config(address) }
}

#[tokio::test]
async fn a_server_is_verified_by_the_named_authority_and_name() {
    let authority = Authority::new();
    let received = Received::default();
    let (listener, address) = listener().await;
    serve(listener, &received, Some(authority.server("collector.test")));
    let tls = TlsConfig {
        ca_file: Some(authority.ca_file()),
        server_name_override: Some("collector.test".into()),
        ..TlsConfig::default()
    };
    export(&secure(address, tls.clone())).await.unwrap();
    let other_name = TlsConfig { server_name_override: None, ..tls.clone() };
    let status = export(&secure(address, other_name)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "the certificate is not of 127.0.0.1: {status}");
    let other_authority = Authority::new();
    let tls = TlsConfig { ca_file: Some(other_authority.ca_file()), ..tls };
    assert_eq!(export(&secure(address, tls)).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(received.samples().len(), 1, "nothing was sent to a server that was not verified");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_the_server() {
    let authority = Authority::new();
    let received = Received::default();
    let (listener, address) = listener().await;
    let server = authority.server("127.0.0.1").client_ca_root(Certificate::from_pem(authority.issuer.pem()));
    serve(listener, &received, Some(server));
    let (certificate, key) = authority.sign("agent");
    let tls = TlsConfig {
        ca_file: Some(authority.ca_file()),
        cert_file: Some(authority.write("cert.pem", &certificate)),
        key_file: Some(authority.write("key.pem", &key)),
        ..TlsConfig::default()
    };
    export(&secure(address, tls.clone())).await.unwrap();
    let nameless = TlsConfig { cert_file: None, key_file: None, ..tls };
    assert!(export(&secure(address, nameless)).await.is_err());
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    let with =
        |ca_file: &Path| secure(address, TlsConfig { ca_file: Some(ca_file.into()), ..TlsConfig::default() });
    let missing = directory.path().join("none.pem");
    let error = OtlpExporter::connect(&Settings::new("otlp"), with(&missing)).unwrap_err();
    assert_eq!(error.to_string(), format!("tls::ca_file: cannot read {}", missing.display()));
    let garbage = directory.path().join("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    let error = OtlpExporter::connect(&Settings::new("otlp"), with(&garbage)).unwrap_err();
    assert!(matches!(error, ConnectError::BadFile { key: "ca_file", .. }), "{error}");
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "# nothing yet\n").unwrap();
    let error = OtlpExporter::connect(&Settings::new("otlp"), with(&empty)).unwrap_err();
    assert!(matches!(error, ConnectError::NoCertificate { key: "ca_file", .. }), "{error}");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_not_taken_for_a_fault_of_the_authority() {
    let authority = Authority::new();
    let (certificate, _) = authority.sign("agent");
    let cert_file = Some(authority.write("cert.pem", &certificate));
    let key_file = Some(authority.write("key.pem", "no key"));
    let tls = TlsConfig { ca_file: Some(authority.ca_file()), cert_file, key_file, ..TlsConfig::default() };
    let error = OtlpExporter::connect(&Settings::new("otlp"), secure("127.0.0.1:1".parse().unwrap(), tls))
        .unwrap_err();
    assert!(matches!(error, ConnectError::BadFile { key: "key_file", .. }), "{error}");
}
