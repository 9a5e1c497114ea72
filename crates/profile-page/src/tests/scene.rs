//! Profiles with hostile names, and what a page answers about them.

use std::io::Read as _;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use profile_formats::Profile;
use serde_json::Value;
use tower::ServiceExt as _;

/// Names that do harm if they are taken for markup or code.
pub(super) const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "a\"b'c&d<e>",
    "\u{1b}[31mred\u{7}\u{202e}",
    "]]>--><!-- ${x} `y` \\u003c",
    "=cmd|' /C calc'!A0",
];

/// Stacks of one thread each, with these names in every place.
pub(super) fn profile(names: &[&str]) -> Profile {
    let escaped = |name: &str| name.replace(';', "\\x3b").replace('\n', "\\x0a");
    let lines: String = names.iter().map(|name| format!("{0};main;{0} 3\n", escaped(name))).collect();
    profile_formats::read(lines.as_bytes()).unwrap()
}

/// The tables that a page as a file holds.
pub(super) fn tables(page: &[u8]) -> Value {
    let text = std::str::from_utf8(page).unwrap();
    let (_, rest) = text.split_once("id=\"model\">").unwrap();
    let packed = STANDARD.decode(rest.split_once('<').unwrap().0).unwrap();
    let mut json = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// The number of samples in such tables.
pub(super) fn samples(tables: &Value) -> u64 {
    let weights: Vec<u64> =
        tables["weights"].as_array().unwrap().iter().map(|weight| weight[2].as_u64().unwrap()).collect();
    let of = tables["sample_weights"].as_array().unwrap();
    of.iter().map(|number| weights[usize::try_from(number.as_u64().unwrap()).unwrap()]).sum()
}

/// Asks a page, and returns the status and the body of its answer.
pub(super) async fn ask(router: &Router, method: &str, path: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let status = response.status();
    (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}
