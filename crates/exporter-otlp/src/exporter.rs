//! The stage.

use std::error::Error as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use exporterhelper::{Answer, Delivery, Settings, Stopped};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesServiceRequest, ExportProfilesServiceResponse,
};
use otlp_profiles::{Request, Windows};
use pdata::{Batch, Watermark};
use tokio::sync::Mutex;
use tonic::Status;
use tower::{Service, ServiceExt};

use crate::config::Config;
use crate::error::ConnectError;
use crate::grpc::Grpc;
use crate::metrics::Metrics;
use crate::outage::{Notice, Outage};

/// Gathers batches into windows and sends each in one request, or several if it is large.
///
/// One window at a time: the exporter is not ready until the last one is delivered or given up on.
/// A request that fails is given up on, counted, and logged once per outage; the next window is
/// tried again.
#[derive(Debug)]
pub struct OtlpExporter<S = Grpc> {
    windows: Windows,
    client: Arc<Mutex<Client<S>>>,
    delivery: Delivery,
}

impl OtlpExporter {
    /// An exporter to the configured server, which is not contacted before the first window is over.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`] if the configuration does not make sense or files of it cannot be used. An
    /// unreachable server is no error.
    pub fn connect(settings: &Settings, config: Config) -> Result<Self, ConnectError> {
        let grpc = Grpc::new(&config)?;
        Ok(Self::over(settings, grpc, config.endpoint, config.window, config.max_request_bytes))
    }
}

impl<S> OtlpExporter<S> {
    /// An exporter that hands requests to `service`; `endpoint` is its name in the log.
    pub fn over(
        settings: &Settings,
        service: S,
        endpoint: String,
        window: Duration,
        max_request_bytes: usize,
    ) -> Self {
        let metrics = Metrics::of(settings);
        let client = Client { service, endpoint, outage: Outage::default(), metrics };
        Self {
            windows: Windows::new(window, max_request_bytes),
            client: Arc::new(Mutex::new(client)),
            delivery: Delivery::default(),
        }
    }
}

impl<S> Service<Batch> for OtlpExporter<S>
where
    S: Service<ExportProfilesServiceRequest, Response = ExportProfilesServiceResponse, Error = Status>
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Watermark;
    type Error = Stopped;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        self.delivery.poll_idle(cx).map(Ok)
    }

    fn call(&mut self, batch: Batch) -> Answer {
        let finished = self.windows.push(&batch);
        if finished.requests.is_empty() {
            return Delivery::nothing(finished.done);
        }
        let client = Arc::clone(&self.client);
        self.delivery.start(finished.done, async move {
            let mut client = client.lock().await;
            for request in finished.requests {
                client.send(request).await;
            }
        })
    }
}

/// Sends requests, and counts and logs what becomes of them.
#[derive(Debug)]
struct Client<S> {
    service: S,
    endpoint: String,
    outage: Outage,
    metrics: Metrics,
}

impl<S> Client<S>
where
    S: Service<ExportProfilesServiceRequest, Response = ExportProfilesServiceResponse, Error = Status>,
{
    async fn send(&mut self, request: Request) {
        let answer = match self.service.ready().await {
            Ok(service) => service.call(request.message().unwrap_or_default()).await,
            Err(status) => Err(status),
        };
        match answer {
            Ok(answer) => {
                self.metrics.sent(request.samples);
                let notice = self.outage.delivered();
                self.tell(notice, None);
                self.look_into(answer);
            }
            Err(status) => {
                self.metrics.send_failed(request.samples, &describe(&status));
                let notice = self.outage.failed(status.code());
                self.tell(notice, Some(&status));
            }
        }
    }

    /// A partial success is never sent again; a message without a rejection is a warning.
    fn look_into(&self, answer: ExportProfilesServiceResponse) {
        let Some(partial) = answer.partial_success else { return };
        if partial.rejected_profiles == 0 && partial.error_message.is_empty() {
            return;
        }
        self.metrics.rejected(u64::try_from(partial.rejected_profiles).unwrap_or(0));
        tracing::warn!(
            endpoint = self.endpoint,
            rejected_profiles = partial.rejected_profiles,
            message = partial.error_message,
            "the server has taken a request of profiles only in part"
        );
    }

    fn tell(&self, notice: Option<Notice>, status: Option<&Status>) {
        let endpoint = &self.endpoint;
        let error = status.map(describe).unwrap_or_default();
        match notice {
            None => {}
            Some(Notice::Down) => {
                tracing::warn!(
                    endpoint,
                    error,
                    "cannot deliver profiles, dropping them and trying again with each window"
                );
            }
            Some(Notice::NoProfiles) => tracing::error!(
                endpoint,
                error,
                "the server takes no profiles: a Collector needs --feature-gates=service.profilesSupport \
                 and a profiles pipeline with the otlp receiver"
            ),
            Some(Notice::Recovered(failed_requests)) => {
                tracing::info!(endpoint, failed_requests, "delivering profiles again");
            }
        }
    }
}

/// A status in one line, with what it was caused by.
fn describe(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = status.source();
    while let Some(error) = cause {
        let error_text = error.to_string();
        // Layers of the transport repeat each other.
        if !text.contains(&error_text) {
            text.push_str(": ");
            text.push_str(&error_text);
        }
        cause = error.source();
    }
    text
}
