//! Keys of `exporters::otlp_http`.

use std::time::Duration;

use configtypes::{ByteSize, Fault, Headers, Secret};
use exporterhelper::config::{QueueConfig, RetryConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windows::{DEFAULT_WINDOW, GroupBy, group_faults, window_fault};

use super::{TlsConfig, Unsupported, common, unsupported};
use crate::http::target;
use crate::proxy;

/// Time for one attempt unless the user configures another.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNS: usize = 100;
const IDLE_CONN_TIMEOUT: Duration = Duration::from_secs(90);

/// Sends profiles by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Server: `http://host:port` or `https://host`, to which `/v1development/profiles` is added. Required unless
    /// there is a `profiles_endpoint`.
    pub endpoint: String,
    /// More servers that take the same profiles: each request goes to one of them all, another if that one fails.
    pub endpoints: Vec<String>,
    /// URL to send to, as it is; absent for the URL made from the endpoint.
    pub profiles_endpoint: Option<String>,
    /// Form in which requests are written.
    pub encoding: Encoding,
    /// Encryption of connections.
    pub tls: TlsConfig,
    /// Compression of requests.
    pub compression: HttpCompression,
    /// The longest that one attempt may take, connecting included; 0 for no bound.
    #[serde(with = "configtypes::GoDuration")]
    pub timeout: Duration,
    /// Headers that are sent with each request, for example to authenticate.
    pub headers: Headers,
    /// Proxy to connect through, an `http://` URL; absent for that of the environment's `HTTP_PROXY`, `HTTPS_PROXY`,
    /// `NO_PROXY`.
    pub proxy_url: Option<Secret>,
    /// The most connections to a server that are kept open while nothing is being sent.
    pub max_idle_conns: usize,
    /// The longest time for which a connection is kept open while nothing is being sent; 0 for ever.
    #[serde(with = "configtypes::GoDuration")]
    pub idle_conn_timeout: Duration,
    /// Whether HTTP/2 is spoken to a server that offers it by TLS.
    pub force_attempt_http2: bool,
    /// Length of a profile. Each window is sent when it is over.
    #[serde(with = "configtypes::GoDuration")]
    pub window: Duration,
    /// Attributes by which images leave as one: those with the same values of all of them. Empty for each image by
    /// itself.
    pub group_by: Vec<GroupBy>,
    /// Life of a process, from its start to its end in the window, below which alone it is grouped; 0 for any.
    #[serde(with = "configtypes::GoDuration")]
    pub fold_shorter_than: Duration,
    /// Bytes of a request as protobuf before compression; a window that needs more is sent in several.
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
    pub compression_params: Option<Unsupported>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub cookies: Option<Unsupported>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub middlewares: Option<Unsupported>,
}

/// The form in which requests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// OTLP/JSON, some three times as many bytes before compression.
    Json,
}

/// The compression of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpCompression {
    /// gzip.
    #[default]
    Gzip,
    /// zstd.
    Zstd,
    /// zlib.
    Zlib,
    /// zlib, by the name that HTTP has for it.
    Deflate,
    /// No compression.
    None,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            endpoints: Vec::new(),
            profiles_endpoint: None,
            encoding: Encoding::default(),
            tls: TlsConfig::default(),
            compression: HttpCompression::default(),
            timeout: DEFAULT_TIMEOUT,
            headers: Headers::default(),
            proxy_url: None,
            max_idle_conns: MAX_IDLE_CONNS,
            idle_conn_timeout: IDLE_CONN_TIMEOUT,
            force_attempt_http2: true,
            window: DEFAULT_WINDOW,
            group_by: Vec::new(),
            fold_shorter_than: Duration::ZERO,
            max_request_size: common::default_request_size(),
            sending_queue: QueueConfig::default(),
            retry_on_failure: RetryConfig::default(),
            auth: None,
            compression_params: None,
            cookies: None,
            middlewares: None,
        }
    }
}

impl HttpConfig {
    /// Every fault, by its key: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = self.endpoint_faults();
        self.tls.validate(&mut faults);
        faults.extend(common::timeout_fault(self.timeout));
        faults.extend(common::header_faults(&self.headers));
        let proxy = self.proxy_url.as_ref().and_then(|url| proxy::parse(url.expose()).err());
        faults.extend(proxy.map(|fault| Fault::at(["proxy_url"], fault)));
        faults.extend(window_fault(self.window).map(|fault| Fault::at(["window"], fault)));
        faults.extend(group_faults(&self.group_by, self.fold_shorter_than));
        faults.extend(common::request_size_fault(self.max_request_size));
        faults.extend(self.sending_queue.validate());
        faults.extend(self.retry_on_failure.validate());
        unsupported(
            [
                ("auth", &self.auth, "headers, such as authorization: Bearer ${env:TOKEN}"),
                (
                    "compression_params",
                    &self.compression_params,
                    "no such key: each compression has its usual level",
                ),
                ("cookies", &self.cookies, "no such key: cookies are never kept"),
                ("middlewares", &self.middlewares, "no such key"),
            ],
            &mut faults,
        );
        faults
    }

    fn endpoint_faults(&self) -> Vec<Fault> {
        let fault =
            |key: &str, text: &str| target::parse_base(text).err().map(|fault| Fault::at([key], fault));
        let Some(url) = &self.profiles_endpoint else {
            let first = fault("endpoint", &self.endpoint);
            return first
                .into_iter()
                .chain(self.endpoints.iter().filter_map(|text| fault("endpoints", text)))
                .collect();
        };
        let whole = target::parse(url).err().map(|fault| Fault::at(["profiles_endpoint"], fault));
        let mut faults: Vec<_> = whole.into_iter().collect();
        if !self.endpoints.is_empty() {
            faults.push(Fault::at(["endpoints"], "are beside profiles_endpoint, expected one or the other"));
        }
        faults
    }
}
