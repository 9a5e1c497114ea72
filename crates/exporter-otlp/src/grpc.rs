//! One request, by gRPC.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::profiles::v1development::profiles_service_client::ProfilesServiceClient;
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesServiceRequest, ExportProfilesServiceResponse,
};
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tower::Service;

use crate::config::{Compression, Config};
use crate::error::ConnectError;
use crate::{endpoint, tls};

/// Who is asking, as servers log it.
const USER_AGENT: &str = concat!("pipeline/", env!("CARGO_PKG_VERSION"));

/// Sends a request to `ProfilesService/Export` and gives the answer, each attempt within the timeout.
///
/// Connects with the first request and again whenever the connection is lost. Always ready.
#[derive(Clone, Debug)]
pub struct Grpc {
    client: ProfilesServiceClient<Channel>,
    headers: MetadataMap,
    timeout: Duration,
}

impl Grpc {
    /// Prepares connections. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`OtlpExporter::connect`](crate::OtlpExporter::connect).
    pub fn new(config: &Config) -> Result<Self, ConnectError> {
        let endpoint::Endpoint { uri, tls } = endpoint::parse(&config.endpoint, config.tls.insecure)
            .map_err(|fault| ConnectError::Config(format!("endpoint: {fault}")))?;
        let mut endpoint = Endpoint::from(uri)
            .user_agent(USER_AGENT)
            .map_err(|error| ConnectError::Config(error.to_string()))?
            .connect_timeout(config.timeout);
        if tls {
            endpoint = tls::secure(endpoint, &config.tls)?;
        }
        let mut client = ProfilesServiceClient::new(endpoint.connect_lazy());
        if config.compression == Compression::Gzip {
            client = client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip);
        }
        Ok(Self { client, headers: headers(config)?, timeout: config.timeout })
    }
}

fn headers(config: &Config) -> Result<MetadataMap, ConnectError> {
    let mut map = MetadataMap::new();
    for (name, value) in &config.headers {
        let refuse = || ConnectError::Config(format!("headers::{name}: cannot be sent"));
        let key: AsciiMetadataKey = name.parse().map_err(|_invalid| refuse())?;
        let mut value: AsciiMetadataValue = value.expose().parse().map_err(|_invalid| refuse())?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

impl Service<ExportProfilesServiceRequest> for Grpc {
    type Response = ExportProfilesServiceResponse;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<ExportProfilesServiceResponse, Status>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, message: ExportProfilesServiceRequest) -> Self::Future {
        let mut client = self.client.clone();
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        let timeout = self.timeout;
        Box::pin(async move {
            tokio::select! {
                // First, so that it is the deadline that is told if connecting has just run out of time too.
                biased;
                () = tokio::time::sleep(timeout) => {
                    Err(Status::deadline_exceeded(format!("no answer within {timeout:?}")))
                }
                answer = client.export(request) => answer.map(tonic::Response::into_inner),
            }
        })
    }
}
