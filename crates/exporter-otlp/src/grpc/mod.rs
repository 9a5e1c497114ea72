//! The transport that sends a request by gRPC.

mod codec;
mod status;
pub(crate) mod target;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use exporterhelper::{Delivered, SendError};
use http::Uri;
use http::uri::PathAndQuery;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, Endpoint};
use tower::Service;
use tower::util::BoxCloneService;

use self::codec::Encoded;
use self::target::Target;
use crate::USER_AGENT;
use crate::address::SocketAddress;
use crate::answers::Answers;
use crate::balance::{Dial, Followed, Lookup, Resolve, Transport};
use crate::config::{GrpcCompression, GrpcConfig};
use crate::connect::Connector;
use crate::error::ConnectError;
use crate::tls::Tls;

/// Path of the gRPC method.
const EXPORT: &str = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
/// The protocols that TLS has to agree upon for gRPC.
const ALPN: &[&[u8]] = &[b"h2"];
/// Pauses between attempts to connect while a request waits for a connection.
const RECONNECT: Duration = Duration::from_millis(100);

/// Sends a request to `ProfilesService/Export` of one server.
///
/// Connects with the first request and again whenever the connection is lost. Always ready.
#[derive(Clone, Debug)]
pub(crate) struct Grpc {
    client: tonic::client::Grpc<Channel>,
    headers: MetadataMap,
    wait_for_ready: bool,
    answers: Arc<Answers>,
}

/// A transport to each server, or to all the servers of a name. Must be called within a Tokio runtime, and reads files.
///
/// # Errors
/// If the configuration makes no sense or files of it cannot be used. An unreachable server is no error.
pub(crate) fn transports(
    config: &GrpcConfig,
    answers: &Arc<Answers>,
) -> Result<Vec<Transport>, ConnectError> {
    let targets = std::iter::once(&config.endpoint).chain(&config.endpoints);
    let targets = targets.map(|text| target::parse(text, config.tls.insecure)).collect::<Result<Vec<_>, _>>();
    let targets = targets.map_err(|fault| ConnectError::Config(format!("endpoint: {fault}")))?;
    let tls = Tls::if_needed(targets.iter().any(|target| target.tls), &config.tls, ALPN)?;
    let transport = |target: Target| {
        let grpc = Grpc::new(config, &target, target.address.clone(), tls.as_ref(), answers)?;
        match &target.address {
            SocketAddress::Tcp(host, port) if target.follow => {
                let resolve = resolve(host, *port);
                Ok(BoxCloneService::new(followed(config, target, resolve, tls.clone(), answers)))
            }
            SocketAddress::Tcp(..) | SocketAddress::Unix(_) => Ok(BoxCloneService::new(grpc)),
        }
    };
    targets.into_iter().map(transport).collect()
}

/// A transport to all the servers of a name.
pub(crate) fn followed(
    config: &GrpcConfig,
    target: Target,
    resolve: Resolve,
    tls: Option<Arc<Tls>>,
    answers: &Arc<Answers>,
) -> Followed {
    let (config, answers, name) = (config.clone(), Arc::clone(answers), target.authority.clone());
    let dial: Dial = Arc::new(move |address| {
        // Requests and certificates name the server as the user does.
        let address = SocketAddress::Tcp(address.ip().to_string(), address.port());
        let grpc = Grpc::new(&config, &target, address, tls.as_ref(), &answers)?;
        Ok(BoxCloneService::new(grpc))
    });
    Followed::new(name.as_str(), resolve, dial)
}

/// Looks a name up by the system's resolver, on a thread of its own, since the C library's call blocks.
fn resolve(host: &str, port: u16) -> Resolve {
    let host = host.to_owned();
    Arc::new(move || -> Lookup {
        let host = host.clone();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    })
}

impl Grpc {
    /// A transport to `target`, at this address of it.
    fn new(
        config: &GrpcConfig,
        target: &Target,
        address: SocketAddress,
        tls: Option<&Arc<Tls>>,
        answers: &Arc<Answers>,
    ) -> Result<Self, ConnectError> {
        let endpoint = endpoint(config, target)?;
        let tls = tls.filter(|_| target.tls).map(|tls| tls.for_host(target.address.host())).transpose()?;
        let connector = Connector { address, tls, proxy: None, timeout: config.timeout };
        let client = tonic::client::Grpc::new(endpoint.connect_with_connector_lazy(connector))
            .max_decoding_message_size(codec::MAX_ANSWER_BYTES)
            // grpc-go answers in the encoding of the request, whether it is asked to or not.
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        let client = match config.compression {
            GrpcCompression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
            GrpcCompression::Zstd => client.send_compressed(CompressionEncoding::Zstd),
            GrpcCompression::None => client,
        };
        let (headers, wait_for_ready) = (headers(config)?, config.wait_for_ready);
        Ok(Self { client, headers, wait_for_ready, answers: Arc::clone(answers) })
    }

    async fn send(mut self, message: bytes::Bytes) -> Result<Delivered, SendError> {
        let status = loop {
            let status = match self.attempt(message.clone()).await {
                Ok(answer) => return Ok(self.answers.taken(answer)),
                Err(status) => status,
            };
            if !(self.wait_for_ready && status::is_unconnected(&status)) {
                break status;
            }
            // The attempt as a whole is bounded by `timeout`.
            tokio::time::sleep(RECONNECT).await;
        };
        let error = status::judge(&status);
        if status::takes_no_profiles(&status) {
            self.answers.hint(&error);
        }
        Err(error)
    }

    async fn attempt(&mut self, message: bytes::Bytes) -> Result<codec::ExportResponse, tonic::Status> {
        self.client.ready().await.map_err(|error| tonic::Status::from_error(error.into()))?;
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        let answer = self.client.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await?;
        Ok(answer.into_inner())
    }
}

impl Service<otlp_profiles::ProfilesRequest> for Grpc {
    type Response = Delivered;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Delivered, SendError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: otlp_profiles::ProfilesRequest) -> Self::Future {
        Box::pin(self.clone().send(request.bytes))
    }
}

/// The address and authority that requests name. The connector speaks TLS, of which HTTP knows nothing but the scheme.
fn endpoint(config: &GrpcConfig, target: &Target) -> Result<Endpoint, ConnectError> {
    let refuse = |key: &str| ConnectError::Config(format!("{key}: cannot be sent"));
    let uri = |scheme: &str, authority: &str| {
        Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query("/")
            .build()
            .map_err(|_no_uri| refuse("authority"))
    };
    let authority = config.authority.as_deref().unwrap_or(target.authority.as_str());
    let scheme = if target.tls { "https" } else { "http" };
    let user_agent = config.user_agent.as_deref().unwrap_or(USER_AGENT);
    let endpoint = Endpoint::from(uri("http", authority)?)
        .origin(uri(scheme, authority)?)
        .user_agent(user_agent)
        .map_err(|_invalid| refuse("user_agent"))?;
    let Some(keepalive) = &config.keepalive else { return Ok(endpoint) };
    Ok(endpoint
        .http2_keep_alive_interval(keepalive.time)
        .keep_alive_timeout(keepalive.timeout)
        .keep_alive_while_idle(keepalive.permit_without_stream))
}

fn headers(config: &GrpcConfig) -> Result<MetadataMap, ConnectError> {
    let mut map = MetadataMap::new();
    for (name, value) in config.headers.iter() {
        let refuse = || ConnectError::Config(format!("headers::{name}: cannot be sent"));
        let key: AsciiMetadataKey = name.to_ascii_lowercase().parse().map_err(|_invalid| refuse())?;
        let mut value: AsciiMetadataValue = value.expose().parse().map_err(|_invalid| refuse())?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}
