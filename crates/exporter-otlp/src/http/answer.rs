//! The outcome of a request by its HTTP response.

use std::time::Duration;

use bytes::Bytes;
use exporterhelper::SendError;
use http::header::{CONTENT_TYPE, LOCATION};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesPartialSuccess, ExportProfilesServiceResponse,
};
use prost::Message as _;
use serde::Deserialize;
use serde_json::Value;

use super::body::{JSON, PROTOBUF};
use super::retry_after;
use crate::config::Encoding;
use crate::reason::one_line;

/// First characters of gRPC's content type.
const GRPC: &str = "application/grpc";
/// The largest answer to a request that was taken: the size that OTLP recommends.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes that are read of a response that refuses a request.
const MAX_REASON_BYTES: usize = 64 * 1024;

/// Reads the answer to a request that was taken.
///
/// # Errors
/// Permanent, if the answer is not OTLP's: something else than an OTLP receiver has answered. Retryable, if the
/// connection breaks.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    sent: Encoding,
) -> Result<ExportProfilesServiceResponse, SendError> {
    if media_type(headers).is_some_and(|name| name.starts_with(GRPC)) {
        // A gRPC server answers 200 to any request.
        return Err(SendError::permanent(
            "the server speaks gRPC, expected HTTP: check the endpoint, or use otlp_grpc",
        ));
    }
    let bytes = match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(SendError::permanent(format!(
                "the server's answer is larger than {MAX_ANSWER_BYTES} bytes"
            )));
        }
        Err(error) => return Err(SendError::retryable(format!("the server's answer broke off: {error}"))),
    };
    let encoding = match media_type(headers) {
        Some(PROTOBUF) => Encoding::Proto,
        Some(JSON) => Encoding::Json,
        _ => sent,
    };
    parse(&bytes, encoding)
        .map_err(|error| SendError::permanent(format!("cannot read the server's answer: {error}")))
}

fn parse(bytes: &Bytes, encoding: Encoding) -> Result<ExportProfilesServiceResponse, String> {
    if bytes.is_empty() {
        return Ok(ExportProfilesServiceResponse::default());
    }
    match encoding {
        Encoding::Proto => {
            ExportProfilesServiceResponse::decode(bytes.clone()).map_err(|error| error.to_string())
        }
        Encoding::Json => {
            serde_json::from_slice::<JsonAnswer>(bytes).map(Into::into).map_err(|error| error.to_string())
        }
    }
}

/// `ExportProfilesServiceResponse` as OTLP/JSON, which asks that unknown fields be ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonAnswer {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonPartialSuccess {
    /// Number of 64 bits, as text, or as a number all the same.
    rejected_profiles: Value,
    error_message: String,
}

impl From<JsonAnswer> for ExportProfilesServiceResponse {
    fn from(answer: JsonAnswer) -> Self {
        let partial_success = answer.partial_success.map(|partial| ExportProfilesPartialSuccess {
            rejected_profiles: match &partial.rejected_profiles {
                Value::String(text) => text.parse().unwrap_or_default(),
                number => number.as_i64().unwrap_or_default(),
            },
            error_message: partial.error_message,
        });
        Self { partial_success }
    }
}

/// The error for a response that is no success, by the OTLP specification, "OTLP/HTTP Response".
pub(super) async fn refusal(head: &Parts, body: Incoming) -> SendError {
    let text = reason(&head.headers, body).await;
    let mut reason = format!("the server answered {}", head.status);
    if head.status.is_redirection() {
        let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
        reason.push_str(&format!(" to {location}, which is not followed: check the endpoint"));
    } else if !text.is_empty() {
        reason.push_str(": ");
        reason.push_str(&text);
    }
    match after(head.status, &head.headers) {
        Some(after) => SendError::Retryable { reason, after },
        None => SendError::Permanent { reason },
    }
}

/// Whether and when a request may be sent again: `None` for never, else the least time that the server asks for, if it
/// asks.
fn after(status: StatusCode, headers: &HeaderMap) -> Option<Option<Duration>> {
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(retry_after::read(headers)),
        _ => None,
    }
}

/// The reason in the server's words: the message of a `google.rpc.Status`, else the beginning of a text.
async fn reason(headers: &HeaderMap, mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    // Of a body that breaks off or goes on too long, the error quotes the part that came.
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap_or_default();
        let room = MAX_REASON_BYTES.saturating_sub(bytes.len());
        bytes.extend(data.iter().take(room));
        if data.len() >= room {
            break;
        }
    }
    words(media_type(headers), &bytes)
}

fn words(media_type: Option<&str>, bytes: &[u8]) -> String {
    let message = match media_type {
        Some(PROTOBUF) => tonic_types::Status::decode(bytes).ok().map(|status| status.message),
        Some(JSON) => serde_json::from_slice(bytes)
            .ok()
            .and_then(|status: Value| Some(status.get("message")?.as_str()?.to_owned())),
        _ => None,
    };
    one_line(&message.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned()))
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statuses_are_retryable_as_otlp_says() {
        for code in 300..600 {
            let status = StatusCode::from_u16(code).unwrap();
            let is_retryable = after(status, &HeaderMap::new()).is_some();
            assert_eq!(is_retryable, [429, 502, 503, 504].contains(&code), "{code}");
        }
    }

    #[test]
    fn answers_are_read_as_protobuf_and_json() {
        let partial = |rejected_profiles, message: &str| ExportProfilesServiceResponse {
            partial_success: Some(ExportProfilesPartialSuccess {
                rejected_profiles,
                error_message: message.to_owned(),
            }),
        };
        let none = ExportProfilesServiceResponse::default();
        for (text, expected) in [
            ("", none.clone()),
            ("{}", none.clone()),
            (r#"{"partialSuccess":null,"new":1}"#, none),
            (r#"{"partialSuccess":{}}"#, partial(0, "")),
            (r#"{"partialSuccess":{"rejectedProfiles":"3","errorMessage":"bad"}}"#, partial(3, "bad")),
            (r#"{"partialSuccess":{"rejectedProfiles":3}}"#, partial(3, "")),
        ] {
            assert_eq!(parse(&Bytes::from(text), Encoding::Json), Ok(expected), "{text}");
        }
        let message = partial(3, "bad");
        assert_eq!(parse(&message.encode_to_vec().into(), Encoding::Proto), Ok(message));
        assert!(parse(&Bytes::from("<html>"), Encoding::Json).is_err());
        assert!(parse(&Bytes::from("<html>"), Encoding::Proto).is_err());
    }

    #[test]
    fn a_reason_is_one_line_in_the_servers_words() {
        let status =
            tonic_types::Status { code: 3, message: "no such tenant".to_owned(), details: Vec::new() };
        assert_eq!(words(Some(PROTOBUF), &status.encode_to_vec()), "no such tenant");
        assert_eq!(words(Some(JSON), br#"{"code":3,"message":"no such tenant"}"#), "no such tenant");
        assert_eq!(words(Some(JSON), b"not json\n"), "not json");
        assert_eq!(words(Some("text/plain"), b"two\nlines\n"), "two lines");
        assert_eq!(words(None, &[b'x'; 9_999]).len(), 1000);
    }

    proptest! {
        /// Any bytes are an answer or are refused, with a reason of one line.
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, json: bool) {
            let (encoding, name) = if json { (Encoding::Json, JSON) } else { (Encoding::Proto, PROTOBUF) };
            let _any = parse(&Bytes::from(bytes.clone()), encoding);
            prop_assert!(!words(Some(name), &bytes).contains('\n'));
        }
    }
}
