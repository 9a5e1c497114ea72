//! Several servers, some of which fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporterhelper::{Delivered, DeliverySettings, SendError};
use tokio::time::Instant;
use tower::{Service as _, ServiceExt as _, service_fn};

use super::grpc::{self, Fake, request};
use super::http::answer;
use super::make::{after, second};
use super::rude::Rude;
use crate::balance::{Transport, balance};
use crate::{GrpcConfig, HttpConfig};

type Result = std::result::Result<Delivered, SendError>;

/// The number of the server that got each request, and a transport to `count` servers, which respond by `respond`.
fn servers(
    count: usize,
    respond: impl Fn(usize) -> Result + Clone + Send + 'static,
) -> (Arc<Mutex<Vec<usize>>>, Transport) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let transport = |index: usize| {
        let (log, respond) = (Arc::clone(&log), respond.clone());
        service_fn(move |_request| {
            log.lock().unwrap().push(index);
            std::future::ready(respond(index))
        })
    };
    let transports = (0..count).map(transport).collect();
    (log, balance(transports))
}

async fn send(transport: &mut Transport) -> Result {
    transport.ready().await.unwrap().call(request(9)).await
}

#[tokio::test]
async fn requests_go_to_each_in_turn() {
    let (log, mut transport) = servers(2, |_| Ok(Delivered::default()));
    for _ in 0..10 {
        send(&mut transport).await.unwrap();
    }
    let turns = log.lock().unwrap().clone();
    assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
    let (log, mut transport) = servers(5, |_| Ok(Delivered::default()));
    for _ in 0..500 {
        send(&mut transport).await.unwrap();
    }
    let log = log.lock().unwrap();
    for index in 0..5 {
        let share = log.iter().filter(|&&other| other == index).count();
        assert!(share > 0, "{index} has got nothing: {log:?}");
    }
}

/// No answer takes a moment of waiting: time is paused and does not pass.
#[tokio::test(start_paused = true)]
async fn what_one_fails_to_take_goes_to_another_at_once() {
    let (log, mut transport) =
        servers(
            3,
            |index| if index == 1 { Err(SendError::retryable("gone")) } else { Ok(Delivered::default()) },
        );
    let began = Instant::now();
    for _ in 0..50 {
        send(&mut transport).await.unwrap();
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let tries = log.lock().unwrap().iter().filter(|&&index| index == 1).count();
    assert!(tries <= 1, "it is set aside after its first failure");
}

#[tokio::test(start_paused = true)]
async fn one_that_has_failed_is_tried_again_ever_more_rarely_until_it_works() {
    let works = Arc::new(Mutex::new(false));
    let state = Arc::clone(&works);
    let (log, mut transport) = servers(2, move |index| {
        if index == 0 || *state.lock().unwrap() {
            Ok(Delivered::default())
        } else {
            Err(SendError::retryable("gone"))
        }
    });
    for _ in 0..60 {
        send(&mut transport).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let tries = log.lock().unwrap().iter().filter(|&&index| index == 1).count();
    assert!((4..=7).contains(&tries), "after 1, 2, 4, ... seconds: {tries}");
    *works.lock().unwrap() = true;
    tokio::time::sleep(Duration::from_secs(60)).await;
    log.lock().unwrap().clear();
    for _ in 0..10 {
        send(&mut transport).await.unwrap();
    }
    let shares = log.lock().unwrap().iter().filter(|&&index| index == 1).count();
    assert_eq!(shares, 5, "it takes its turn again");
}

#[tokio::test(start_paused = true)]
async fn when_all_have_failed_the_last_reason_is_told_and_when_to_come_back() {
    let (log, mut transport) = servers(2, |index| {
        let after = Some(Duration::from_secs(if index == 0 { 20 } else { 10 }));
        Err(SendError::Retryable { reason: "full".to_owned(), after })
    });
    let full = Err(SendError::Retryable { reason: "full".to_owned(), after: Some(Duration::from_secs(10)) });
    assert_eq!(send(&mut transport).await, full);
    assert_eq!(log.lock().unwrap().len(), 2);
    let began = Instant::now();
    let error = send(&mut transport).await.unwrap_err();
    assert!(error.to_string().contains("every server has failed"), "{error}");
    assert_eq!((began.elapsed(), log.lock().unwrap().len()), (Duration::ZERO, 2), "nobody is asked in vain");
}

#[tokio::test]
async fn a_request_that_is_at_fault_itself_is_not_sent_to_another() {
    let (log, mut transport) = servers(2, |_| Err(SendError::permanent("bad")));
    assert_eq!(send(&mut transport).await, Err(SendError::permanent("bad")));
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_is_set_aside_when_the_caller_has_had_enough() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let transport = |index: usize| {
        let log = Arc::clone(&log);
        service_fn(move |_request: otlp_profiles::ProfilesRequest| {
            log.lock().unwrap().push(index);
            async move { if index == 0 { std::future::pending().await } else { Ok(Delivered::default()) } }
        })
    };
    let mut transport = balance(vec![transport(0), transport(1)]);
    // Whichever is the first, the other is the second.
    for _ in 0..2 {
        let _late = tokio::time::timeout(Duration::from_millis(500), send(&mut transport)).await;
    }
    log.lock().unwrap().clear();
    for _ in 0..10 {
        let sent = tokio::time::timeout(Duration::from_millis(1), send(&mut transport)).await;
        sent.unwrap().unwrap();
    }
    assert_eq!(*log.lock().unwrap(), [1; 10]);
}

/// Two servers by gRPC; one dies between two windows. Every sample arrives, without the wait for another attempt.
#[tokio::test]
async fn a_server_that_dies_costs_no_sample() {
    let (dying, staying) = (Fake::collector(), Fake::collector());
    // Dead with all its connections when its runtime is.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let served = {
        let dying = dying.clone();
        runtime.spawn(async move { dying.serve(None).await.0 })
    };
    let first = served.await.unwrap();
    let mut runtime = Some(runtime);
    let (other, _server) = staying.serve(None).await;
    let mut config = GrpcConfig { endpoints: vec![other.to_string()], ..grpc::config(first) };
    // An attempt that has to wait would be too late for this test.
    config.retry_on_failure.enabled = false;
    // Requests go one at a time, so that each server gets half.
    config.sending_queue.wait_for_result = true;
    let mut exporter = crate::grpc(&DeliverySettings::new("otlp_grpc"), &config).unwrap();
    for n in 0..10 {
        if n == 4 {
            runtime.take().unwrap().shutdown_background();
            assert_eq!((dying.count(), staying.count()), (2, 2));
        }
        let answer = exporter.ready().await.unwrap().call(second(n, 1)).await.unwrap();
        assert_eq!(answer, after(n));
    }
    assert_eq!((dying.count(), staying.count()), (2, 8));
}

/// Two servers by HTTP, one of which breaks off. Every sample arrives.
#[tokio::test]
async fn an_http_server_that_breaks_off_costs_no_sample() {
    let ok = || answer("200 OK", "", b"");
    let (breaking, staying) =
        (Rude::start(vec![ok()]).await, Rude::start((0..10).map(|_| ok()).collect()).await);
    let config = HttpConfig {
        endpoints: vec![format!("http://{}", staying.address)],
        ..super::http::config(&breaking)
    };
    let transports =
        crate::http::Http::all(&config, &crate::answers::Answers::new(&DeliverySettings::new("otlp_http")));
    let mut transport = balance(transports.unwrap());
    for _ in 0..10 {
        send(&mut transport).await.unwrap();
    }
    assert_eq!((breaking.requests().len(), staying.requests().len()), (1, 9));
}
