//! Keys of `exporters.otlp`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use otlp_profiles::{DEFAULT_REQUEST_BYTES, DEFAULT_WINDOW, MIN_REQUEST_BYTES, window_fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

use crate::endpoint;
use crate::secret::Secret;

/// Time for one request unless the user says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest time for one request.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);
/// The longest time for one request.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// The largest request: what OTLP recommends receivers to accept.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// Configuration of the OTLP exporter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Server: `host:port`, `http://host:port` or `https://host:port`; required.
    pub endpoint: String,
    /// How to secure the connection.
    pub tls: TlsConfig,
    /// How to compress requests.
    pub compression: Compression,
    /// Time for one request, connecting included.
    #[serde(with = "confmap::GoDuration")]
    pub timeout: Duration,
    /// Sent with each request, for example to authenticate.
    pub headers: BTreeMap<String, Secret>,
    /// Length of a profile. Each window is sent when it is over.
    #[serde(with = "confmap::GoDuration")]
    pub window: Duration,
    /// Bytes of a request before compression; a window that needs more is sent in several. The
    /// default stays below the 4 MiB that a Collector takes by default.
    pub max_request_bytes: usize,
}

/// How to secure the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Speak without TLS. An `https://` endpoint is spoken to with TLS all the same.
    pub insecure: bool,
    /// Known from the Collector; not supported, and refused if true.
    pub insecure_skip_verify: bool,
    /// Certificates (PEM) to verify the server by, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate (PEM) to show to the server; goes with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// Key (PEM) of the certificate in `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Name that the server's certificate must have, if not that of the endpoint.
    pub server_name_override: Option<String>,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// gzip.
    #[default]
    Gzip,
    /// Not at all.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            tls: TlsConfig::default(),
            compression: Compression::default(),
            timeout: DEFAULT_TIMEOUT,
            headers: BTreeMap::new(),
            window: DEFAULT_WINDOW,
            max_request_bytes: DEFAULT_REQUEST_BYTES,
        }
    }
}

impl Config {
    /// Every fault, each as `key: what is wrong, what is expected`.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(
            endpoint::parse(&self.endpoint, self.tls.insecure)
                .err()
                .map(|fault| format!("endpoint: {fault}")),
        );
        self.tls.validate(&mut faults);
        if !(MIN_TIMEOUT..=MAX_TIMEOUT).contains(&self.timeout) {
            faults
                .push(format!("timeout: is {:?}, expected {MIN_TIMEOUT:?} to {MAX_TIMEOUT:?}", self.timeout));
        }
        faults.extend(self.headers.iter().filter_map(|(name, value)| header_fault(name, value)));
        faults.extend(window_fault(self.window));
        if !(MIN_REQUEST_BYTES..=MAX_REQUEST_BYTES).contains(&self.max_request_bytes) {
            faults.push(format!(
                "max_request_bytes: is {}, expected {MIN_REQUEST_BYTES} to {MAX_REQUEST_BYTES}",
                self.max_request_bytes
            ));
        }
        faults
    }
}

impl TlsConfig {
    fn validate(&self, faults: &mut Vec<String>) {
        if self.insecure_skip_verify {
            faults.push(
                "tls.insecure_skip_verify: is not supported, expected tls.ca_file with the server's certificate, \
                 or tls.insecure: true to do without TLS"
                    .to_owned(),
            );
        }
        if self.insecure && (self.ca_file.is_some() || self.cert_file.is_some()) {
            faults.push("tls.insecure: is true beside certificates, expected one or the other".to_owned());
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => {
                faults.push("tls.key_file: is missing, expected the key of tls.cert_file".to_owned())
            }
            (None, Some(_)) => {
                faults.push("tls.cert_file: is missing, expected the certificate of tls.key_file".to_owned());
            }
            _ => {}
        }
    }
}

fn header_fault(name: &str, value: &Secret) -> Option<String> {
    if name.parse::<AsciiMetadataKey>().is_err() {
        return Some(format!(
            "headers: {name:?} is no name gRPC can send, expected lower-case letters, digits, - and _, not ending in -bin"
        ));
    }
    let value: Result<AsciiMetadataValue, _> = value.expose().parse();
    value.is_err().then(|| format!("headers.{name}: has a value gRPC cannot send, expected visible ASCII"))
}
