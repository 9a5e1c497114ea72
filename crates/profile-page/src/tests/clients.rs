//! Many clients at once, and clients that behave badly.

use std::io::Read as _;
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use flate2::read::GzDecoder;
use tower::ServiceExt as _;

use super::scene::{HOSTILE, ask, profile};
use crate::router::routes;
use crate::{AgentView, Page, router, store};

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
