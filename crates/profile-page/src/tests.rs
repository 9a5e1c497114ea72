//! Requests to the page, and the page as one file.

use std::io::Read as _;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use profile_formats::{Format, Profile, Quantity};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{Page, html, html_of_difference, router, store};

/// Names that do harm where they are taken for something else.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "a\"b'c&d<e>",
    "\u{1b}[31mred\u{7}\u{202e}",
    "]]>--><!-- ${x} `y` \\u003c",
    "=cmd|' /C calc'!A0",
];

/// Stacks of one thread each, with these names in every place.
fn profile(names: &[&str]) -> Profile {
    let escaped = |name: &str| name.replace(';', "\\x3b").replace('\n', "\\x0a");
    let lines: String = names.iter().map(|name| format!("{0};main;{0} 3\n", escaped(name))).collect();
    profile_formats::read(lines.as_bytes()).unwrap()
}

fn tables(page: &[u8]) -> Value {
    let text = std::str::from_utf8(page).unwrap();
    let (_, rest) = text.split_once("id=\"model\">").unwrap();
    let packed = STANDARD.decode(rest.split_once('<').unwrap().0).unwrap();
    let mut json = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn samples(tables: &Value) -> u64 {
    let weights: Vec<u64> =
        tables["weights"].as_array().unwrap().iter().map(|weight| weight[2].as_u64().unwrap()).collect();
    let of = tables["sample_weights"].as_array().unwrap();
    of.iter().map(|number| weights[usize::try_from(number.as_u64().unwrap()).unwrap()]).sum()
}

/// All samples are in the file, and no name is in it as a browser could take it for something else.
#[test]
fn the_page_as_a_file_has_every_sample_and_no_raw_name() {
    let profile = profile(&HOSTILE);
    let page = html(&profile, profile.main_quantity()).unwrap();
    let tables = tables(&page);
    assert_eq!(samples(&tables), profile.samples.captured());
    let text = String::from_utf8(page).unwrap();
    for name in HOSTILE {
        assert!(!text.contains(name), "{name}");
        assert!(tables["texts"].as_array().unwrap().iter().any(|known| known == name), "{name}");
    }
    assert_eq!(text.matches("<script").count(), 2, "the tables and the page's own");
    assert!(text.contains("default-src 'none'") && !text.contains("unsafe"));
}

#[test]
fn two_profiles_are_in_one_file_each_with_its_name_and_its_time() {
    let (before, after) = (profile(&["a", "b"]), profile(&["b", "c", "d"]));
    let of = |profile: &Profile| profile.main_quantity();
    let page =
        html_of_difference((&before, of(&before), "</script>"), (&after, of(&after), "after")).unwrap();
    let tables = tables(&page);
    assert_eq!(samples(&tables), before.samples.captured() + after.samples.captured());
    let parts = tables["parts"].as_array().unwrap();
    assert_eq!((&parts[0]["name"], &parts[1]["name"]), (&Value::from("</script>"), &Value::from("after")));
    assert_eq!(parts[0]["until"], parts[1]["from"]);
    assert_eq!(String::from_utf8(page).unwrap().matches("</script>").count(), 2);
}

async fn ask(router: &Router, method: &str, path: &str) -> (StatusCode, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let status = response.status();
    (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

/// Whatever it is downloaded as, a profile has the samples that the page says are shown.
#[tokio::test]
async fn every_download_has_the_samples_that_are_shown() {
    let profile = profile(&HOSTILE);
    let router = router(Page::of(store(&profile, profile.main_quantity())));
    let (_, status) = ask(&router, "GET", "/api/status").await;
    let status: Value = serde_json::from_slice(&status).unwrap();
    assert_eq!(status["answer"]["total"]["samples"], profile.samples.captured());
    for format in ["pprof", "folded"] {
        let (code, body) = ask(&router, "GET", &format!("/api/download?format={format}")).await;
        let read = profile_formats::read(&body).unwrap();
        assert_eq!((code, read.samples.captured()), (StatusCode::OK, profile.samples.captured()), "{format}");
    }
    let (_, body) = ask(&router, "GET", "/api/download?format=html").await;
    assert_eq!(samples(&tables(&body)), profile.samples.captured());
    let (_, body) = ask(&router, "GET", "/debug/pprof/profile?seconds=9").await;
    assert_eq!(profile_formats::read(&body).unwrap().samples.captured(), profile.samples.captured());
    for format in ["svg", "firefox"] {
        let (code, body) = ask(&router, "GET", &format!("/api/download?format={format}")).await;
        assert!(code == StatusCode::OK && !body.is_empty(), "{format}");
    }
}

#[tokio::test]
async fn nothing_is_written_and_what_is_wrong_is_said() {
    let profile = profile(&["a"]);
    let router = router(Page::of(store(&profile, Quantity::Captures)));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(ask(&router, method, "/api/status").await.0, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    for (path, code) in [
        ("/", StatusCode::OK),
        ("/page.js", StatusCode::OK),
        ("/api/none", StatusCode::NOT_FOUND),
        ("/etc/passwd", StatusCode::NOT_FOUND),
        ("/api/tree?group=x", StatusCode::BAD_REQUEST),
        ("/api/sandwich", StatusCode::BAD_REQUEST),
        ("/debug/pprof/profile?seconds=x", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(ask(&router, "GET", path).await.0, code, "{path}");
    }
}

/// A hundred pages that ask the same are answered, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_are_answered() {
    let profile = profile(&HOSTILE);
    let router = router(Page::of(store(&profile, profile.main_quantity())));
    let asks = (0..100).map(|client| {
        let router = router.clone();
        tokio::spawn(async move { ask(&router, "GET", &format!("/api/tree?last={}", client % 5)).await.0 })
    });
    for answer in asks.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), StatusCode::OK);
    }
}

/// What is in a store is what was read, through files of every format that can be read again.
#[test]
fn a_store_has_what_a_file_has() {
    let profile = profile(&HOSTILE);
    for format in [Format::Pprof, Format::Folded, Format::Otlp] {
        let mut bytes = Vec::new();
        format.write(&profile, Quantity::Captures, &mut bytes).unwrap();
        let read = profile_formats::read(&bytes).unwrap();
        let store = store(&read, read.main_quantity());
        assert_eq!(store.taken(), profile.samples.captured(), "{format}");
    }
}
