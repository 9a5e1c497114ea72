//! Tests of requests to the page, and of the page as one file.

use std::io::Read as _;
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use profile_formats::{Format, Profile, Quantity};
use profile_store::{FrameText, Limits, SampleText, Store, TICKS_PER_SECOND, Weight};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::download::{Fault, make};
use crate::question::{Question, Topic};
use crate::router::routes;
use crate::{AgentView, Page, Token, html, html_of_difference, router, store};

/// Names that do harm if they are taken for markup or code.
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

/// All samples are in the file, and no name is in it in a form that a browser could take for markup or code.
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

/// A client that hangs up while its answer is made frees no second turn before the answer is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_lasts_as_long_as_the_work() {
    let profile = profile(&HOSTILE);
    let (begins, mut begun) = tokio::sync::mpsc::channel(2);
    let (go_on, may_go_on) = mpsc::sync_channel::<()>(2);
    let may_go_on = Mutex::new(may_go_on);
    let agent = move || {
        begins.blocking_send(()).unwrap();
        let _over = may_go_on.lock().unwrap().recv();
        AgentView::default()
    };
    let page = Page::of(store(&profile, profile.main_quantity())).with_agent(agent);
    let page = Arc::new(page);
    let router = routes(Arc::clone(&page));
    let asking = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, "GET", "/api/status").await.0 }
    });
    begun.recv().await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert!(!page.is_idle(), "the first answer is still being made");
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(ask(&router, "GET", "/api/status").await.0, StatusCode::OK);
    assert!(page.is_idle());
}

/// A client that does not read a file keeps its memory from others, but no more than that: no other file is made before
/// there is room.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_nobody_reads_are_bounded() {
    let profile = profile(&HOSTILE);
    let page = Arc::new(Page::of(store(&profile, profile.main_quantity())));
    let router = routes(Arc::clone(&page));
    let download = || {
        let request =
            Request::builder().uri("/api/download?format=firefox").header(header::HOST, "localhost");
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let one = download().await.unwrap();
    let two = download().await.unwrap();
    assert!(page.place_now().is_none(), "two answers are in memory");
    let third = tokio::spawn(download());
    // Answers that all clients share are not held up.
    assert_eq!(ask(&router, "GET", "/api/tree").await.0, StatusCode::OK);
    drop(one);
    assert_eq!(third.await.unwrap().unwrap().status(), StatusCode::OK);
    // The bytes keep the place until the last of them is gone, whether or not the body still exists.
    let bytes = to_bytes(two.into_body(), usize::MAX).await.unwrap();
    let last = bytes.slice(bytes.len() - 1..);
    drop(bytes);
    while page.place_now().is_none() {
        tokio::task::yield_now().await;
    }
    let held = page.place_now().unwrap();
    assert!(page.place_now().is_none(), "{last:?}");
    drop((held, last));
}

/// An answer is the same plain or compressed, and a large one comes in parts.
#[tokio::test(flavor = "multi_thread")]
async fn plain_answers_are_what_compressed_ones_are() {
    let names: Vec<String> = (0..3_000).map(|number| format!("function_number_{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let profile = profile(&names);
    let router = router(Page::of(store(&profile, profile.main_quantity())));
    for path in ["/", "/page.js", "/page.css", "/api/top", "/api/processes", "/api/tree"] {
        let (_, plain) = ask(&router, "GET", path).await;
        let request = Request::builder().uri(path).header(header::HOST, "localhost");
        let request = request.header(header::ACCEPT_ENCODING, "br;q=1, gzip;q=0.5");
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers().get(header::CONTENT_ENCODING).unwrap(), "gzip");
        let gzipped = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let mut text = Vec::new();
        GzDecoder::new(&*gzipped).read_to_end(&mut text).unwrap();
        assert!(text == plain && !plain.is_empty(), "{path}");
    }
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

/// While the store is being changed, clients wait; the threads that other exporters' tasks run on do not.
#[tokio::test]
async fn a_store_that_is_being_changed_holds_up_no_thread_of_the_runtime() {
    let profile = profile(&HOSTILE);
    let store = Arc::new(RwLock::new(store(&profile, profile.main_quantity())));
    let router = router(Page::over(Arc::clone(&store)));
    let (changes, is_changing) = mpsc::sync_channel(1);
    let (over, waits_for_end) = mpsc::sync_channel::<()>(1);
    let writer = thread::spawn(move || {
        let _changed = store.write().unwrap();
        changes.send(()).unwrap();
        // If this thread has to end the change itself, the test's own thread was stuck.
        waits_for_end.recv_timeout(Duration::from_secs(30)).is_ok()
    });
    is_changing.recv().unwrap();
    let paths = ["/api/status", "/api/tree", "/api/timeline", "/api/download", "/debug/pprof/profile", "/"];
    let asks: Vec<_> = paths
        .map(|path| {
            let router = router.clone();
            tokio::spawn(async move { ask(&router, "GET", path).await.0 })
        })
        .into();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    over.send(()).unwrap();
    assert!(writer.join().unwrap());
    for answer in asks {
        assert_eq!(answer.await.unwrap(), StatusCode::OK);
    }
}

/// A file that would take more memory than it may is refused in any format.
#[test]
fn a_file_that_takes_too_much_memory_is_refused() {
    let profile = profile(&HOSTILE);
    let store = store(&profile, profile.main_quantity());
    for format in ["pprof", "folded", "svg", "firefox", "html"] {
        let question = Question::parse("download", &format!("format={format}")).unwrap().unwrap();
        let Topic::Download(format) = question.topic else { panic!("{question:?}") };
        assert!(matches!(make(&store, &question, format, 100), Err(Fault::TooLarge)), "{format:?}");
        assert!(!make(&store, &question, format, 1 << 20).unwrap().body.is_empty(), "{format:?}");
    }
}

/// A store has the samples of the file that it was read from, in every format that can be read again.
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

/// A pprof profile with these columns, and one sample of a function with a value for each.
fn pprof(columns: &[(&str, &str, u8)]) -> Profile {
    let field =
        |number: u8, part: &[u8]| [&[number << 3 | 2, u8::try_from(part.len()).unwrap()], part].concat();
    let (mut bytes, mut strings, mut values) = (Vec::new(), field(6, b""), Vec::new());
    for (at, (name, unit, value)) in (0..).zip(columns) {
        bytes.extend(field(1, &[8, 2 * at + 1, 16, 2 * at + 2]));
        strings.extend([field(6, name.as_bytes()), field(6, unit.as_bytes())].concat());
        values.push(*value);
    }
    let name = u8::try_from(2 * columns.len() + 1).unwrap();
    strings.extend(field(6, b"main"));
    let location = field(4, &[&[8, 1][..], &field(4, &[8, 1])].concat());
    let sample = field(2, &[field(1, &[1]), field(2, &values)].concat());
    let parts = [bytes, sample, location, field(5, &[8, 1, 16, name]), strings];
    profile_formats::read(&parts.concat()).unwrap()
}

/// Every column of a file is shown, not only the first that counts; and time off the CPU beside time on it.
#[tokio::test]
async fn every_column_of_a_file_is_shown() {
    let total = async |profile: &Profile, quantity: Quantity, query: &str| {
        let router = router(Page::of(store(profile, quantity)));
        let (_, status) = ask(&router, "GET", &format!("/api/status?{query}")).await;
        let status: Value = serde_json::from_slice(&status).unwrap();
        let total = &status["answer"]["total"];
        (total["samples"].as_u64().unwrap(), total["value"].as_u64().unwrap())
    };
    let heap = pprof(&[
        ("alloc_objects", "count", 9),
        ("alloc_space", "bytes", 90),
        ("inuse_objects", "count", 3),
        ("inuse_space", "bytes", 30),
    ]);
    for (column, expected) in [
        ("alloc_objects", (9, 0)),
        ("alloc_space", (0, 90)),
        ("inuse_objects", (3, 0)),
        ("inuse_space", (0, 30)),
    ] {
        let quantity = heap.quantity(column).unwrap();
        assert_eq!(total(&heap, quantity, "").await, expected, "{column}");
        let page = html(&heap, quantity).unwrap();
        assert_eq!(tables(&page)["sample_weights"].as_array().unwrap().len(), 1, "{column}");
    }
    let waits = pprof(&[("samples", "count", 0), ("off_cpu", "nanoseconds", 70)]);
    assert_eq!(total(&waits, waits.main_quantity(), "kind=off").await.1, 70);
}
