//! The answers of a page that is served.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use profile_formats::Quantity;
use profile_store::{FrameText, Limits, SampleText, Store, TICKS_PER_SECOND, Weight};
use serde_json::Value;
use tower::ServiceExt as _;

use super::scene::{HOSTILE, ask, profile, samples, tables};
use crate::{Page, Token, router, store};

/// A download in any format has the samples that the page counts.
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

/// An answer that the client has already is not sent again.
#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let profile = profile(&["a"]);
    let router = router(Page::of(store(&profile, Quantity::Captures)));
    for path in ["/", "/page.js", "/page.css", "/api/tree", "/api/timeline", "/api/top?rows=thread"] {
        let request = |tag: Option<&str>| {
            let mut request = Request::builder().uri(path).header(header::HOST, "localhost");
            if let Some(tag) = tag {
                request = request.header(header::IF_NONE_MATCH, tag);
            }
            router.clone().oneshot(request.body(Body::empty()).unwrap())
        };
        let first = request(None).await.unwrap();
        let tag = first.headers().get(header::ETAG).unwrap().to_str().unwrap().to_owned();
        let again = request(Some(&tag)).await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert!(to_bytes(again.into_body(), usize::MAX).await.unwrap().is_empty(), "{path}");
        assert_eq!(request(Some("\"other\"")).await.unwrap().status(), StatusCode::OK, "{path}");
    }
}

/// A page with a token answers nothing without it, and asks the browser for it.
#[tokio::test]
async fn nothing_is_answered_without_the_token() {
    let profile = profile(&["a"]);
    let page = Page::of(store(&profile, Quantity::Captures)).with_token(Token::of("s3cret"));
    let router = router(page);
    for path in ["/", "/page.js", "/api/tree", "/api/download?format=pprof", "/debug/pprof/profile", "/none"]
    {
        let request = |token: Option<&str>| {
            let mut request = Request::builder().uri(path).header(header::HOST, "localhost");
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            router.clone().oneshot(request.body(Body::empty()).unwrap())
        };
        for token in [None, Some("other")] {
            let refused = request(token).await.unwrap();
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
            assert!(refused.headers().contains_key(header::WWW_AUTHENTICATE), "{path}");
        }
        assert_ne!(request(Some("s3cret")).await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

/// A download has the frames that the page shows, and two compared times if its format has differences.
#[tokio::test]
async fn downloads_show_what_the_page_shows() {
    let profile = profile_formats::read(b"app;main;f 3\napp;main;g 1\n".as_slice()).unwrap();
    let router = router(Page::of(store(&profile, Quantity::Captures)));
    let text = async |format: &str, query: &str| {
        let (code, body) = ask(&router, "GET", &format!("/api/download?format={format}{query}")).await;
        assert_eq!(code, StatusCode::OK);
        String::from_utf8(body).unwrap()
    };
    assert_eq!(text("folded", "").await, "app;main;f 3\napp;main;g 1\n");
    assert_eq!(text("folded", "&hide=text:main").await, "app;f 3\napp;g 1\n");
    let svg = text("svg", "&hide=text:main").await;
    assert!(svg.contains("<title>f — 3 ") && !svg.contains("<title>main "), "{svg}");
    // The profile has no instants: all its samples are in its first second, which is compared with itself.
    let compared = "&from=0&until=1000&base_from=0&base_until=1000";
    assert_eq!(text("folded", compared).await, "app;main;f 3 3\napp;main;g 1 1\n");
    assert!(text("svg", compared).await.contains("75.00% → 75.00% (+0.00%)"));
    let (_, pprof) = ask(&router, "GET", &format!("/api/download?format=pprof{compared}")).await;
    assert_eq!(profile_formats::read(&pprof).unwrap().samples.captured(), 4);
}

/// The page and its largest tree, of stacks without common frames and names that compress badly, take 400 KB.
#[tokio::test]
async fn the_largest_tree_is_small_enough_to_be_sent() {
    let limits = Limits { max_bytes: 64 << 20, retention: 1_000 * TICKS_PER_SECOND };
    let mut store = Store::new(limits, 0);
    for stack in 0..1_000_u64 {
        let name = |depth: u64| {
            let mixed = (stack * 40 + depth).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!(
                "module_{}::Type{}::method_{:07x}",
                mixed >> 60,
                mixed >> 54 & 63,
                mixed >> 20 & 0xfff_ffff
            )
        };
        let names: Vec<String> = (0..40).map(name).collect();
        let frame = |name| FrameText { name, module: "/usr/lib/libprogram.so", ..FrameText::default() };
        let frames: Vec<_> = names.iter().map(|name| frame(name.as_str())).collect();
        let weight = Weight { samples: 1, value: 1_003_009, ..Weight::default() };
        store.add(&SampleText { tick: 7, weight, frames: &frames, ..SampleText::default() });
    }
    store.finish();
    let router = router(Page::of(store));
    let mut sent = 0;
    for path in ["/", "/page.js", "/page.css", "/api/status", "/api/timeline", "/api/tree?group=executable"] {
        let request = Request::builder().uri(path).header(header::HOST, "localhost");
        let request = request.header(header::ACCEPT_ENCODING, "gzip").body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap().len();
        println!("{path}: {bytes} bytes");
        sent += bytes;
    }
    assert!((100_000..=400_000).contains(&sent), "{sent} bytes");
}
