//! The layers of an OTLP exporter.

use std::sync::Arc;
use std::time::Duration;

use configtypes::ByteSize;
use exporterhelper::config::{QueueConfig, RetryConfig};
use exporterhelper::{BatchLayer, DeliverySettings, Front, QueueLayer, Stop, TimeoutLayer, retry_layer};
use otlp_profiles::Windows;
use tower::ServiceBuilder;
use windows::Grouping;

use crate::answers::Answers;
use crate::balance::{Transport, balance};
use crate::config::{GrpcConfig, HttpConfig};
use crate::error::ConnectError;
use crate::grpc::transports;
use crate::http::Http;

/// The whole stage of an OTLP exporter.
pub type Exporter = Front;

/// An exporter by gRPC, which contacts no server before the first window is over. Must be called within a Tokio
/// runtime, and reads the files of certificates.
///
/// # Errors
/// [`ConnectError`] if the configuration does not make sense or files of it cannot be used. An unreachable server is
/// no error.
pub fn grpc(settings: &DeliverySettings, config: &GrpcConfig) -> Result<Exporter, ConnectError> {
    warn_if_unverified(settings, config.tls.insecure_skip_verify);
    let transports = transports(config, &Answers::new(settings))?;
    Ok(Stack::from(config).over(settings, balance(transports)))
}

/// An exporter by HTTP, otherwise like that of [`grpc`].
///
/// # Errors
/// The same as those of [`grpc`]; also if the environment names a proxy that cannot be used.
pub fn http(settings: &DeliverySettings, config: &HttpConfig) -> Result<Exporter, ConnectError> {
    warn_if_unverified(settings, config.tls.insecure_skip_verify);
    let transports = Http::all(config, &Answers::new(settings))?;
    Ok(Stack::from(config).over(settings, balance(transports)))
}

/// The parts of the configuration that gRPC and HTTP share.
#[derive(Debug)]
struct Stack<'a> {
    window: Duration,
    grouping: Grouping,
    max_request_size: ByteSize,
    queue: &'a QueueConfig,
    retry: &'a RetryConfig,
    timeout: Duration,
}

impl Stack<'_> {
    /// The layers in order, from the front that takes batches to the transport.
    fn over(&self, settings: &DeliverySettings, transport: Transport) -> Exporter {
        let max_bytes = self.max_request_size.as_usize();
        let stop = Stop::default();
        let queue = ServiceBuilder::new()
            // Outermost, so that a slow server costs the pipeline nothing: a window is answered when it is in here.
            .layer(QueueLayer::new(settings, self.queue, &stop))
            // The layer is inside the queue, which holds requests as they came, and outside retry, so that each attempt
            // sends the same.
            .layer(BatchLayer::new(self.queue, max_bytes))
            .layer(retry_layer(settings, self.retry, self.queue, &stop))
            // Each attempt has its own time, connecting and another server included.
            .layer(TimeoutLayer::new(self.timeout))
            .service(transport);
        let windows = Windows::new(self.window, max_bytes).rolled_up(self.grouping.clone());
        Front::new(windows, queue)
    }
}

impl<'a> From<&'a GrpcConfig> for Stack<'a> {
    fn from(config: &'a GrpcConfig) -> Self {
        Self {
            window: config.window,
            grouping: Grouping::new(&config.group_by, config.fold_shorter_than),
            max_request_size: config.max_request_size,
            queue: &config.sending_queue,
            retry: &config.retry_on_failure,
            timeout: config.timeout,
        }
    }
}

impl<'a> From<&'a HttpConfig> for Stack<'a> {
    fn from(config: &'a HttpConfig) -> Self {
        Self {
            window: config.window,
            grouping: Grouping::new(&config.group_by, config.fold_shorter_than),
            max_request_size: config.max_request_size,
            queue: &config.sending_queue,
            retry: &config.retry_on_failure,
            timeout: config.timeout,
        }
    }
}

fn warn_if_unverified(settings: &DeliverySettings, skips: bool) {
    if skips {
        let exporter: &Arc<str> = &settings.id;
        tracing::warn!(
            %exporter,
            "Not verifying the server, since tls::insecure_skip_verify is true: ANYONE who can reach the network may pose as it and read the profiles."
        );
    }
}
