//! Keys of `exporters::otlp_grpc`.

use std::time::Duration;

use configtypes::{ByteSize, Fault, Headers};
use exporterhelper::config::{DEFAULT_TIMEOUT, QueueConfig, RetryConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windows::{DEFAULT_WINDOW, GroupBy, group_faults, window_fault};

use super::{TlsConfig, Unsupported, common, unsupported};
use crate::grpc::target;

const KEEPALIVE_TIME: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest time between pings: servers take more frequent ones for abuse.
const MIN_KEEPALIVE_TIME: Duration = Duration::from_secs(1);

/// Sends profiles by OTLP over gRPC.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Server: `host:port`, `http://host:port`, `https://host:port`, `dns:///host:port` or `unix:///path`; required.
    pub endpoint: String,
    /// More servers that take the same profiles: each request goes to one of them all, another if that one fails.
    pub endpoints: Vec<String>,
    /// Order in which requests go to several servers.
    pub balancer_name: BalancerName,
    /// Encryption of connections.
    pub tls: TlsConfig,
    /// Compression of requests.
    pub compression: GrpcCompression,
    /// The longest that one attempt may take, connecting included; 0 for no bound.
    #[serde(with = "configtypes::GoDuration")]
    pub timeout: Duration,
    /// Headers that are sent with each request, for example to authenticate.
    pub headers: Headers,
    /// Pings to a silent server; absent for none.
    #[serde(deserialize_with = "configtypes::section", skip_serializing_if = "Option::is_none")]
    pub keepalive: Option<Keepalive>,
    /// Whether an attempt waits for a connection as long as it may, rather than fail when there is none.
    pub wait_for_ready: bool,
    /// Name of the client, as servers log it; absent for the agent's name and version.
    pub user_agent: Option<String>,
    /// Value of `:authority`, if not the endpoint.
    pub authority: Option<String>,
    /// Length of a profile. Each window is sent when it is over.
    #[serde(with = "configtypes::GoDuration")]
    pub window: Duration,
    /// Attributes by which images leave as one: those with the same values of all of them. Empty for each image by
    /// itself.
    pub group_by: Vec<GroupBy>,
    /// Life of a process, from its start to its end in the window, below which alone it is grouped; 0 for any.
    #[serde(with = "configtypes::GoDuration")]
    pub fold_shorter_than: Duration,
    /// Bytes of a request before compression; a window that needs more is sent in several.
    pub max_request_size: ByteSize,
    /// Queue that holds requests until they are sent.
    pub sending_queue: QueueConfig,
    /// Settings for sending requests again that failed and may succeed later.
    pub retry_on_failure: RetryConfig,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub auth: Option<Unsupported>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub middlewares: Option<Unsupported>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub read_buffer_size: Option<Unsupported>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub write_buffer_size: Option<Unsupported>,
}

/// Order in which requests go to several servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalancerName {
    /// Each server in turn, as far as it keeps up.
    #[default]
    RoundRobin,
}

/// The compression of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrpcCompression {
    /// gzip.
    #[default]
    Gzip,
    /// zstd.
    Zstd,
    /// No compression.
    None,
}

/// Settings of HTTP/2 pings to a server that has been silent for a while.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keepalive {
    /// Silence after which the server is pinged.
    #[serde(with = "configtypes::GoDuration")]
    pub time: Duration,
    /// Time without an answer after which the connection is closed.
    #[serde(with = "configtypes::GoDuration")]
    pub timeout: Duration,
    /// Whether the server is pinged while nothing is being sent, too.
    pub permit_without_stream: bool,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { time: KEEPALIVE_TIME, timeout: KEEPALIVE_TIMEOUT, permit_without_stream: false }
    }
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            endpoints: Vec::new(),
            balancer_name: BalancerName::default(),
            tls: TlsConfig::default(),
            compression: GrpcCompression::default(),
            timeout: DEFAULT_TIMEOUT,
            headers: Headers::default(),
            keepalive: None,
            wait_for_ready: false,
            user_agent: None,
            authority: None,
            window: DEFAULT_WINDOW,
            group_by: Vec::new(),
            fold_shorter_than: Duration::ZERO,
            max_request_size: common::default_request_size(),
            sending_queue: QueueConfig::default(),
            retry_on_failure: RetryConfig::default(),
            auth: None,
            middlewares: None,
            read_buffer_size: None,
            write_buffer_size: None,
        }
    }
}

impl GrpcConfig {
    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let fault = |key: &str, text: &str| {
            target::parse(text, self.tls.insecure).err().map(|fault| Fault::at([key], fault))
        };
        faults.extend(fault("endpoint", &self.endpoint));
        faults.extend(self.endpoints.iter().filter_map(|text| fault("endpoints", text)));
        self.tls.validate(&mut faults);
        faults.extend(common::timeout_fault(self.timeout));
        faults.extend(common::header_faults(&self.headers));
        faults.extend(self.keepalive.as_ref().and_then(Keepalive::fault));
        faults.extend(common::text_fault("user_agent", self.user_agent.as_deref()));
        if self.authority.as_ref().is_some_and(|text| text.parse::<http::uri::Authority>().is_err()) {
            faults.push(Fault::at(["authority"], "is no host, expected one like collector.example.com:4317"));
        }
        faults.extend(window_fault(self.window).map(|fault| Fault::at(["window"], fault)));
        faults.extend(group_faults(&self.group_by, self.fold_shorter_than));
        faults.extend(common::request_size_fault(self.max_request_size));
        faults.extend(self.sending_queue.validate());
        faults.extend(self.retry_on_failure.validate());
        unsupported(
            [
                ("auth", &self.auth, "headers, such as authorization: Bearer ${env:TOKEN}"),
                ("middlewares", &self.middlewares, "no such key"),
                ("read_buffer_size", &self.read_buffer_size, "no such key: buffers grow as needed"),
                ("write_buffer_size", &self.write_buffer_size, "no such key: buffers grow as needed"),
            ],
            &mut faults,
        );
        faults
    }
}

impl Keepalive {
    fn fault(&self) -> Option<Fault> {
        if self.time < MIN_KEEPALIVE_TIME {
            let time = self.time;
            return Some(Fault::at(
                ["keepalive", "time"],
                format!("is {time:?}, expected at least {MIN_KEEPALIVE_TIME:?}"),
            ));
        }
        self.timeout.is_zero().then(|| Fault::at(["keepalive", "timeout"], "is 0, expected a time like 10s"))
    }
}
