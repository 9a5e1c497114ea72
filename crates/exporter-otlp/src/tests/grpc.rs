//! gRPC against a server whose responses the test scripts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use exporterhelper::{Delivered, DeliverySettings, SendError};
use opentelemetry_proto::tonic::collector::profiles::v1development::profiles_service_server::{
    ProfilesService, ProfilesServiceServer,
};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesPartialSuccess, ExportProfilesServiceRequest, ExportProfilesServiceResponse,
};
use prost::Message as _;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Service as _, ServiceExt as _};

use super::make::Log;
use crate::answers::Answers;
use crate::balance::Transport;
use crate::{GrpcCompression, GrpcConfig, Keepalive, TlsConfig};

/// The largest message, decompressed, that a Collector takes by gRPC unless configured otherwise.
pub(super) const COLLECTOR_LIMIT: usize = 4 << 20;

type ServerResult = Result<ExportProfilesServiceResponse, Status>;
type Respond = Box<dyn FnMut(&ExportProfilesServiceRequest) -> ServerResult + Send>;

/// A server that notes what it receives.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) received: Arc<Mutex<Vec<(MetadataMap, ExportProfilesServiceRequest)>>>,
    respond: Arc<Mutex<Respond>>,
}

impl Fake {
    pub(super) fn new(
        respond: impl FnMut(&ExportProfilesServiceRequest) -> ServerResult + Send + 'static,
    ) -> Self {
        Self { received: Arc::default(), respond: Arc::new(Mutex::new(Box::new(respond))) }
    }

    /// A server that takes requests up to the size that a Collector takes.
    pub(super) fn collector() -> Self {
        Self::new(|request| match request.encoded_len() {
            0..=COLLECTOR_LIMIT => Ok(ExportProfilesServiceResponse::default()),
            // grpc-go's words.
            size => Err(Status::resource_exhausted(format!(
                "grpc: received message after decompression larger than max ({size} vs. {COLLECTOR_LIMIT})"
            ))),
        })
    }

    pub(super) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    pub(super) fn service(&self) -> ProfilesServiceServer<Self> {
        ProfilesServiceServer::new(self.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            // The server answers compressed, as grpc-go does.
            .send_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(usize::MAX)
    }

    /// Serves until the task is aborted.
    pub(super) async fn serve(
        &self,
        tls: Option<ServerTlsConfig>,
    ) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        self.serve_at("127.0.0.1:0".parse().unwrap(), tls).await
    }

    /// Serves at an address of the caller's choice, until the task is aborted.
    pub(super) async fn serve_at(
        &self,
        address: SocketAddr,
        tls: Option<ServerTlsConfig>,
    ) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let server = server.add_service(self.service()).serve_with_incoming(TcpIncoming::from(listener));
        (address, tokio::spawn(async move { server.await.unwrap() }))
    }
}

#[tonic::async_trait]
impl ProfilesService for Fake {
    async fn export(
        &self,
        request: Request<ExportProfilesServiceRequest>,
    ) -> Result<Response<ExportProfilesServiceResponse>, Status> {
        let metadata = request.metadata().clone();
        let request = request.into_inner();
        let answer = (self.respond.lock().unwrap())(&request);
        self.received.lock().unwrap().push((metadata, request));
        answer.map(Response::new)
    }
}

pub(super) fn config(address: SocketAddr) -> GrpcConfig {
    GrpcConfig {
        endpoint: address.to_string(),
        tls: TlsConfig { insecure: true, ..TlsConfig::default() },
        window: Duration::from_secs(1),
        ..GrpcConfig::default()
    }
}

/// A request of this many bytes.
pub(super) fn request(bytes: usize) -> otlp_profiles::ProfilesRequest {
    let mut message =
        ExportProfilesServiceRequest { dictionary: Some(Default::default()), ..Default::default() };
    let text = "x".repeat(bytes);
    message.dictionary.as_mut().unwrap().string_table.push(text);
    otlp_profiles::ProfilesRequest { bytes: message.encode_to_vec().into(), samples: 1 }
}

/// A transport to the server that `config` names.
pub(super) fn transport(config: &GrpcConfig) -> Transport {
    let answers = Answers::new(&DeliverySettings::new("otlp_grpc"));
    crate::grpc::transports(config, &answers).unwrap().pop().unwrap()
}

pub(super) async fn send(config: &GrpcConfig) -> Result<Delivered, SendError> {
    transport(config).ready().await.unwrap().call(request(9)).await
}

fn taken(rejected_profiles: i64, message: &str) -> ServerResult {
    let error_message = message.to_owned();
    Ok(ExportProfilesServiceResponse {
        partial_success: Some(ExportProfilesPartialSuccess { rejected_profiles, error_message }),
    })
}

fn delivered(rejected: u64, message: &str) -> Result<Delivered, SendError> {
    Ok(Delivered { rejected, message: message.to_owned() })
}

fn dropped(reason: &str) -> Result<Delivered, SendError> {
    Err(SendError::permanent(reason))
}

fn retried(reason: &str, after: Option<u64>) -> Result<Delivered, SendError> {
    Err(SendError::Retryable { reason: reason.to_owned(), after: after.map(Duration::from_secs) })
}

/// A server's responses, and the outcome of each: sent, tried again (not before a time), or dropped.
#[tokio::test]
async fn table_of_grpc_answers() {
    let asks = |code, seconds: u64| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
        Err(Status::with_error_details(code, "why", details))
    };
    let says = |code| Err(Status::new(code, "why"));
    let table: Vec<(ServerResult, Result<Delivered, SendError>)> = vec![
        (Ok(ExportProfilesServiceResponse::default()), delivered(0, "")),
        (taken(0, ""), delivered(0, "")),
        (taken(2, "two are bad"), delivered(2, "two are bad")),
        (taken(0, "slow down"), delivered(0, "slow down")),
        (taken(-1, ""), delivered(0, "")),
        (says(Code::Cancelled), retried("Cancelled: why", None)),
        (says(Code::DeadlineExceeded), retried("DeadlineExceeded: why", None)),
        (says(Code::Aborted), retried("Aborted: why", None)),
        (says(Code::OutOfRange), retried("OutOfRange: why", None)),
        (says(Code::Unavailable), retried("Unavailable: why", None)),
        (asks(Code::Unavailable, 7), retried("Unavailable: why", Some(7))),
        (says(Code::DataLoss), retried("DataLoss: why", None)),
        (says(Code::ResourceExhausted), dropped("ResourceExhausted: why")),
        (asks(Code::ResourceExhausted, 30), retried("ResourceExhausted: why", Some(30))),
        (says(Code::Unknown), dropped("Unknown: why")),
        (says(Code::InvalidArgument), dropped("InvalidArgument: why")),
        (asks(Code::InvalidArgument, 7), dropped("InvalidArgument: why")),
        (says(Code::NotFound), dropped("NotFound: why")),
        (says(Code::AlreadyExists), dropped("AlreadyExists: why")),
        (says(Code::PermissionDenied), dropped("PermissionDenied: why")),
        (says(Code::Unauthenticated), dropped("Unauthenticated: why")),
        (says(Code::FailedPrecondition), dropped("FailedPrecondition: why")),
        (says(Code::Unimplemented), dropped("Unimplemented: why")),
        (says(Code::Internal), dropped("Internal: why")),
    ];
    let (answers, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    let mut answers = answers.into_iter();
    let (address, _server) = Fake::new(move |_| answers.next().unwrap()).serve(None).await;
    let mut transport = transport(&config(address));
    for (row, expected) in expected.into_iter().enumerate() {
        assert_eq!(transport.ready().await.unwrap().call(request(9)).await, expected, "row {row}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_profiles_is_explained_in_one_line() {
    let log = Log::default();
    let _guard = log.start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(listener.local_addr().unwrap());
    let server = Server::builder().add_routes(tonic::service::Routes::default());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let mut transport = transport(&config);
    for _ in 0..3 {
        let error = transport.ready().await.unwrap().call(request(9)).await.unwrap_err();
        assert_eq!(error, SendError::permanent("Unimplemented: "));
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("--feature-gates=service.profilesSupport and a profiles pipeline"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn partial_success_is_a_warning_in_the_collectors_words() {
    let log = Log::default();
    let _guard = log.start();
    let (address, _server) = Fake::new(|_| taken(2, "two are bad")).serve(None).await;
    send(&config(address)).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            r#"WARN Partial success response. exporter=otlp_grpc error_message="two are bad" dropped_profiles=2"#
        ]
    );
}

#[tokio::test]
async fn requests_arrive_as_they_are_however_compressed_with_headers() {
    let fake = Fake::collector();
    let (address, _server) = fake.serve(None).await;
    for compression in [GrpcCompression::Gzip, GrpcCompression::Zstd, GrpcCompression::None] {
        let config = GrpcConfig {
            compression,
            headers: [("X-Tenant", "blue")].into_iter().collect(),
            keepalive: Some(Keepalive::default()),
            ..config(address)
        };
        send(&config).await.unwrap();
    }
    let received = fake.received.lock().unwrap().clone();
    assert_eq!(received.len(), 3);
    for (metadata, message) in &received {
        assert_eq!(Bytes::from(message.encode_to_vec()), request(9).bytes);
        assert_eq!(metadata.get("x-tenant").unwrap(), "blue");
        assert!(metadata.get("user-agent").unwrap().to_str().unwrap().starts_with("pipeline/"));
    }
    // The server takes the encoding off before it shows the headers to its service; that a server which takes none
    // refuses ours shows that it was there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = config(listener.local_addr().unwrap());
    let server = Server::builder().add_service(ProfilesServiceServer::new(fake));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    for compression in [GrpcCompression::Gzip, GrpcCompression::Zstd] {
        let error = send(&GrpcConfig { compression, ..plain.clone() }).await.unwrap_err();
        assert!(error.to_string().starts_with("Unimplemented: Content is compressed"), "{error}");
    }
    send(&GrpcConfig { compression: GrpcCompression::None, ..plain }).await.unwrap();
}

#[tokio::test]
async fn a_request_over_the_collectors_limit_is_dropped_and_one_below_is_taken() {
    let (address, _server) = Fake::collector().serve(None).await;
    let mut transport = transport(&config(address));
    let answer = transport.ready().await.unwrap().call(request(COLLECTOR_LIMIT)).await;
    assert!(
        matches!(&answer, Err(SendError::Permanent { reason }) if reason.contains("larger than max")),
        "{answer:?}"
    );
    let default = GrpcConfig::default().max_request_size.as_usize();
    transport.ready().await.unwrap().call(request(default)).await.unwrap();
}

#[tokio::test]
async fn an_answer_larger_than_4_mib_is_not_read_and_the_request_not_sent_again() {
    let fake = Fake::new(|_| taken(0, &"x".repeat(5 << 20)));
    let (address, _server) = fake.serve(None).await;
    // Compressed, it is a few kB, and no more than 4 MiB of it are made from them.
    let error = send(&config(address)).await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("size limit, of 4194304 bytes"), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = GrpcConfig { compression: GrpcCompression::None, ..config(listener.local_addr().unwrap()) };
    let server = Server::builder().add_service(ProfilesServiceServer::new(fake));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let error = send(&plain).await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("message length too large"), "{error}");
}

#[tokio::test]
async fn a_server_is_reached_by_a_socket_in_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("otlp.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let fake = Fake::collector();
    let accepted = {
        let service = fake.service();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let incoming = std::iter::once(Ok::<_, std::io::Error>(stream));
            let incoming = tonic::codegen::tokio_stream::iter(incoming);
            Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
        })
    };
    let endpoint = format!("unix://{}", path.display());
    send(&GrpcConfig { endpoint, ..config("127.0.0.1:1".parse().unwrap()) }).await.unwrap();
    assert_eq!(fake.count(), 1);
    accepted.abort();
}

#[tokio::test]
async fn without_a_server_an_attempt_fails_or_waits_for_one() {
    // Nobody else gets the port, and who connects before it listens is refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let error = send(&config(address)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("Connection refused"), "{error}");
    let waiting = GrpcConfig { wait_for_ready: true, ..config(address) };
    let sent = tokio::spawn(async move { send(&waiting).await });
    let listener = socket.listen(16).unwrap();
    let server = Server::builder().add_service(Fake::collector().service());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    sent.await.unwrap().unwrap();
}
