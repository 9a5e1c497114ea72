//! HTTP against a server whose responses the test scripts.

use std::time::Duration;

use exporterhelper::{Delivered, DeliverySettings, SendError};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesPartialSuccess, ExportProfilesServiceResponse,
};
use prost::Message as _;
use tower::{Service as _, ServiceExt as _};

use super::grpc::request;
use super::make::Log;
use super::rude::{Act, Rude};
use crate::answers::Answers;
use crate::http::Http;
use crate::{Encoding, HttpCompression, HttpConfig};

pub(super) fn config(rude: &Rude) -> HttpConfig {
    HttpConfig {
        endpoint: format!("http://{}", rude.address),
        window: Duration::from_secs(1),
        ..HttpConfig::default()
    }
}

pub(super) fn transport(config: &HttpConfig) -> Http {
    Http::all(config, &Answers::new(&DeliverySettings::new("otlp_http"))).unwrap().pop().unwrap()
}

pub(super) async fn send(config: &HttpConfig) -> Result<Delivered, SendError> {
    transport(config).ready().await.unwrap().call(request(9)).await
}

/// An answer with this status line, these headers and this body.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Act {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Act::Answer(bytes)
}

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";
const JSON: &str = "content-type: application/json; charset=utf-8\r\n";

/// A server's responses, and the outcome of each: sent, tried again (not before a time), or dropped.
#[tokio::test]
async fn table_of_http_answers() {
    let partial = ExportProfilesServiceResponse {
        partial_success: Some(ExportProfilesPartialSuccess {
            rejected_profiles: 2,
            error_message: "two are bad".into(),
        }),
    };
    let status = tonic_types::Status { code: 3, message: "no such tenant".to_owned(), details: Vec::new() };
    let sent = |rejected, message: &str| Ok(Delivered { rejected, message: message.to_owned() });
    let dropped = |reason: &str| Err(SendError::permanent(reason));
    let retried = |reason: &str, after: Option<u64>| {
        Err(SendError::Retryable { reason: reason.to_owned(), after: after.map(Duration::from_secs) })
    };
    let date = "date: Tue, 24 Nov 2026 18:00:00 GMT\r\nretry-after: Tue, 24 Nov 2026 18:01:30 GMT\r\n";
    let table = [
        (answer("200 OK", PROTOBUF, b""), sent(0, "")),
        (answer("200 OK", "", b""), sent(0, "")),
        (answer("200 OK", PROTOBUF, &partial.encode_to_vec()), sent(2, "two are bad")),
        (answer("200 OK", "", &partial.encode_to_vec()), sent(2, "two are bad")),
        (
            answer(
                "200 OK",
                JSON,
                br#"{"partialSuccess":{"rejectedProfiles":"2","errorMessage":"two are bad"}}"#,
            ),
            sent(2, "two are bad"),
        ),
        (
            answer("200 OK", "content-type: text/html\r\n", b"<html>"),
            dropped(
                "cannot read the server's answer: failed to decode Protobuf message: unexpected end group tag",
            ),
        ),
        (
            answer("200 OK", JSON, b"<html>"),
            dropped("cannot read the server's answer: expected value at line 1 column 1"),
        ),
        (
            answer("307 Temporary Redirect", "location: http://other/\r\n", b""),
            dropped(
                "the server answered 307 Temporary Redirect to http://other/, which is not followed: check the endpoint",
            ),
        ),
        (
            answer("400 Bad Request", PROTOBUF, &status.encode_to_vec()),
            dropped("the server answered 400 Bad Request: no such tenant"),
        ),
        (
            answer("401 Unauthorized", "", b"who are you?\n"),
            dropped("the server answered 401 Unauthorized: who are you?"),
        ),
        (
            answer("404 Not Found", "", b"404 page not found\n"),
            dropped("the server answered 404 Not Found: 404 page not found"),
        ),
        (answer("408 Request Timeout", "", b""), dropped("the server answered 408 Request Timeout")),
        (
            answer("413 Payload Too Large", "", b"too large"),
            dropped("the server answered 413 Payload Too Large: too large"),
        ),
        (
            answer("415 Unsupported Media Type", "", b""),
            dropped("the server answered 415 Unsupported Media Type"),
        ),
        (
            answer("429 Too Many Requests", "", b""),
            retried("the server answered 429 Too Many Requests", None),
        ),
        (
            answer("429 Too Many Requests", "retry-after: 60\r\n", b""),
            retried("the server answered 429 Too Many Requests", Some(60)),
        ),
        (
            answer("500 Internal Server Error", "retry-after: 60\r\n", b""),
            dropped("the server answered 500 Internal Server Error"),
        ),
        (answer("501 Not Implemented", "", b""), dropped("the server answered 501 Not Implemented")),
        (answer("502 Bad Gateway", "", b""), retried("the server answered 502 Bad Gateway", None)),
        (
            answer(
                "503 Service Unavailable",
                &format!("{date}{JSON}"),
                br#"{"code":14,"message":"draining"}"#,
            ),
            retried("the server answered 503 Service Unavailable: draining", Some(90)),
        ),
        (
            answer("503 Service Unavailable", "retry-after: soon\r\n", b""),
            retried("the server answered 503 Service Unavailable", None),
        ),
        (answer("504 Gateway Timeout", "", b""), retried("the server answered 504 Gateway Timeout", None)),
    ];
    let (acts, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    let count = acts.len();
    let rude = Rude::start(acts).await;
    let mut transport = transport(&config(&rude));
    for (row, expected) in expected.into_iter().enumerate() {
        assert_eq!(transport.ready().await.unwrap().call(request(9)).await, expected, "row {row}");
    }
    assert_eq!((rude.requests().len(), rude.connections()), (count, 1), "one connection is enough");
}

#[tokio::test]
async fn requests_say_what_they_are() {
    let ok = || answer("200 OK", "", b"");
    let rude = Rude::start(vec![ok(), ok(), ok(), ok(), ok(), ok()]).await;
    let json = HttpConfig { encoding: Encoding::Json, compression: HttpCompression::None, ..config(&rude) };
    let zstd = HttpConfig { compression: HttpCompression::Zstd, ..config(&rude) };
    let zlib = HttpConfig { compression: HttpCompression::Zlib, ..config(&rude) };
    let deflate = HttpConfig { compression: HttpCompression::Deflate, ..config(&rude) };
    let url = HttpConfig {
        profiles_endpoint: Some(format!("http://{}/v1/profiles?tenant=a", rude.address)),
        headers: [("X-Tenant", "blue"), ("user-agent", "me")].into_iter().collect(),
        ..HttpConfig::default()
    };
    for config in [config(&rude), json, zstd, zlib, deflate, url] {
        send(&config).await.unwrap();
    }
    let requests = rude.requests();
    let has = |at: usize, text: &str| {
        let head = requests[at].head.to_ascii_lowercase();
        assert!(head.contains(text), "{text} is not in {head}");
    };
    has(0, "post /v1development/profiles http/1.1");
    has(0, "content-type: application/x-protobuf");
    has(0, "content-encoding: gzip");
    has(0, concat!("user-agent: pipeline/", env!("CARGO_PKG_VERSION")));
    has(1, "content-type: application/json");
    assert!(!requests[1].head.contains("content-encoding"));
    has(2, "content-encoding: zstd");
    has(3, "content-encoding: zlib");
    has(4, "content-encoding: deflate");
    has(5, "post /v1/profiles?tenant=a http/1.1");
    has(5, "x-tenant: blue");
    has(5, "user-agent: me");
    let plain = request(9).bytes.to_vec();
    let mut json = Vec::new();
    otlp_profiles::json::write_request(&request(9).message().unwrap(), &mut json);
    let bodies: Vec<_> = requests.iter().map(|request| request.body.clone()).collect();
    assert_eq!(unpack(flate2::read::GzDecoder::new(&*bodies[0])), plain);
    assert_eq!(bodies[1], json);
    assert_eq!(zstd::decode_all(&*bodies[2]).unwrap(), plain);
    assert_eq!(unpack(flate2::read::ZlibDecoder::new(&*bodies[3])), plain);
    assert_eq!(unpack(flate2::read::ZlibDecoder::new(&*bodies[4])), plain);
}

fn unpack(mut reader: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_server_that_takes_no_profiles_is_explained_in_one_line_until_one_does() {
    let log = Log::default();
    let _guard = log.start();
    let missing = || answer("404 Not Found", "", b"");
    let rude = Rude::start(vec![missing(), missing(), answer("200 OK", "", b""), missing()]).await;
    let mut transport = transport(&config(&rude));
    for _ in 0..4 {
        let _any = transport.ready().await.unwrap().call(request(9)).await;
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("--feature-gates=service.profilesSupport and a profiles pipeline"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn reasons_and_answers_are_read_up_to_a_bound() {
    let endless = |status: &str| {
        let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n");
        Act::Endless {
            head: head.into_bytes(),
            chunk: format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes(),
        }
    };
    let rude = Rude::start(vec![endless("400 Bad Request"), endless("200 OK")]).await;
    let mut transport = transport(&config(&rude));
    let error = transport.ready().await.unwrap().call(request(9)).await.unwrap_err();
    assert_eq!(
        error,
        SendError::permanent(format!("the server answered 400 Bad Request: {}", "x".repeat(1000)))
    );
    let error = transport.ready().await.unwrap().call(request(9)).await.unwrap_err();
    assert_eq!(error, SendError::permanent("the server's answer is larger than 4194304 bytes"));
}
