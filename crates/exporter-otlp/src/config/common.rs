//! Bounds and faults that the gRPC and the HTTP exporter share.

use std::time::Duration;

use configtypes::{ByteSize, Fault, Headers, Secret};
use http::header::{HeaderName, HeaderValue};
use otlp_profiles::{DEFAULT_REQUEST_BYTES, MIN_REQUEST_BYTES};

/// The longest time for one attempt.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// The largest request: the size that OTLP recommends receivers to accept.
const MAX_REQUEST_SIZE: ByteSize = ByteSize::from_mib(64);
/// Headers that the protocol itself sets.
const RESERVED: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Key `max_request_size` unless the user configures another: below the 4 MiB that a Collector takes by default.
pub(super) fn default_request_size() -> ByteSize {
    ByteSize::from_bytes(DEFAULT_REQUEST_BYTES as u64)
}

pub(super) fn timeout_fault(timeout: Duration) -> Option<Fault> {
    (timeout > MAX_TIMEOUT).then(|| {
        Fault::at(["timeout"], format!("is {timeout:?}, expected at most {MAX_TIMEOUT:?}, or 0 for none"))
    })
}

pub(super) fn request_size_fault(size: ByteSize) -> Option<Fault> {
    let min = ByteSize::from_bytes(MIN_REQUEST_BYTES as u64);
    (!(min..=MAX_REQUEST_SIZE).contains(&size))
        .then(|| Fault::at(["max_request_size"], format!("is {size}, expected {min} to {MAX_REQUEST_SIZE}")))
}

pub(super) fn header_faults(headers: &Headers) -> impl Iterator<Item = Fault> {
    headers.iter().filter_map(|(name, value)| header_fault(name, value))
}

fn header_fault(name: &str, value: &Secret) -> Option<Fault> {
    let lower = name.to_ascii_lowercase();
    if HeaderName::from_bytes(name.as_bytes()).is_err() || lower.ends_with("-bin") {
        return Some(Fault::at(
            ["headers"],
            format!(
                "{name:?} is no name that can be sent, expected letters, digits, - and _, not ending in -bin"
            ),
        ));
    }
    if lower.starts_with("grpc-") || RESERVED.contains(&lower.as_str()) {
        return Some(Fault::at(
            ["headers".to_owned(), name.to_string()],
            "is set by the protocol itself, expected another name",
        ));
    }
    let is_bad = HeaderValue::from_str(value.expose()).is_err() || !value.expose().is_ascii();
    is_bad.then(|| {
        Fault::at(
            ["headers".to_owned(), name.to_string()],
            "has a value that cannot be sent, expected visible ASCII",
        )
    })
}

/// The fault of a key whose text goes into a header of its own.
pub(super) fn text_fault(key: &str, text: Option<&str>) -> Option<Fault> {
    let text = text?;
    (text.is_empty() || HeaderValue::from_str(text).is_err())
        .then(|| Fault::at([key], "has a value that cannot be sent, expected visible ASCII"))
}
