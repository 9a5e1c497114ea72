//! The stage over a fake service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporterhelper::Settings;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesPartialSuccess, ExportProfilesServiceRequest, ExportProfilesServiceResponse,
};
use pdata::*;
use tokio::sync::Semaphore;
use tonic::Status;
use tower::{Service, ServiceExt, service_fn};

use super::make::{Log, after, samples, second};
use crate::OtlpExporter;

type Answer = Result<ExportProfilesServiceResponse, Status>;

const OK: Answer = Ok(ExportProfilesServiceResponse { partial_success: None });

/// An exporter whose requests are answered by `answer`, with windows of a second.
fn exporter<F>(
    mut answer: F,
) -> OtlpExporter<
    impl Service<
        ExportProfilesServiceRequest,
        Response = ExportProfilesServiceResponse,
        Error = Status,
        Future = impl Send,
    > + Send
    + 'static,
>
where
    F: FnMut(ExportProfilesServiceRequest) -> Answer + Send + 'static,
{
    let service = service_fn(move |request| std::future::ready(answer(request)));
    OtlpExporter::over(
        &Settings::new("otlp"),
        service,
        "there:4317".into(),
        Duration::from_secs(1),
        usize::MAX,
    )
}

async fn send<S>(exporter: &mut S, batch: Batch) -> Watermark
where
    S: Service<Batch, Response = Watermark, Error: std::fmt::Debug>,
{
    exporter.ready().await.unwrap().call(batch).await.unwrap()
}

#[tokio::test]
async fn a_window_is_sent_before_it_is_answered_and_no_empty_request_ever() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let mut exporter = exporter(move |request| {
        seen.lock().unwrap().push(samples(&request));
        OK
    });
    assert_eq!(send(&mut exporter, second(0, 3)).await, after(0));
    assert_eq!(*sent.lock().unwrap(), [3]);
    assert_eq!(send(&mut exporter, second(1, 0)).await, after(1));
    let open = Batch { watermark: Watermark::before(KTime::from_nanos(2_500_000_000)), ..second(2, 4) };
    assert_eq!(send(&mut exporter, open).await, after(1), "holds the samples of second 2");
    assert_eq!(*sent.lock().unwrap(), [3]);
    let end = Batch { watermark: Watermark::END, ..second(9, 0) };
    assert_eq!(send(&mut exporter, end).await, Watermark::END);
    assert_eq!(*sent.lock().unwrap(), [3, 4]);
}

#[tokio::test]
async fn the_exporter_is_not_ready_while_a_window_is_on_its_way() {
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let service = service_fn(move |_request: ExportProfilesServiceRequest| {
        let gate = Arc::clone(&waiting);
        async move {
            gate.acquire().await.unwrap().forget();
            OK
        }
    });
    let mut exporter = OtlpExporter::over(
        &Settings::new("otlp"),
        service,
        String::new(),
        Duration::from_secs(1),
        usize::MAX,
    );
    let first = exporter.ready().await.unwrap().call(second(0, 1));
    // The caller loses patience; the request goes on.
    drop(first);
    let mut next = std::pin::pin!(exporter.ready());
    assert!(futures_poll(next.as_mut()).await.is_none());
    gate.add_permits(1);
    next.await.unwrap();
}

/// One poll of a future, after everything else that can run has run.
async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    tokio::task::yield_now().await;
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn an_outage_is_logged_once_and_its_end_too() {
    let log = Log::default();
    let _guard = log.start();
    let mut answers = vec![OK, Err(Status::unavailable("no")), Err(Status::unavailable("no")), OK];
    let mut exporter = exporter(move |_| answers.pop().unwrap());
    for n in 0..4 {
        assert_eq!(send(&mut exporter, second(n, 1)).await, after(n), "given up is done");
    }
    assert_eq!(
        log.lines(),
        [
            r#"WARN cannot deliver profiles, dropping them and trying again with each window endpoint="there:4317" error="Unavailable: no""#,
            r#"INFO delivering profiles again endpoint="there:4317" failed_requests=2"#,
        ]
    );
}

#[tokio::test]
async fn a_server_without_profiles_is_explained_in_one_line() {
    let log = Log::default();
    let _guard = log.start();
    let mut exporter = exporter(|_| Err(Status::unimplemented("unknown service")));
    for n in 0..3 {
        send(&mut exporter, second(n, 1)).await;
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("--feature-gates=service.profilesSupport and a profiles pipeline"),
        "{lines:?}"
    );
    assert!(lines[0].contains("Unimplemented: unknown service"), "{lines:?}");
}

/// Value of a counter.
fn counter(snapshotter: &Snapshotter, names: [&str; 3]) -> [u64; 3] {
    let all = snapshotter.snapshot().into_vec();
    names.map(|name| {
        let mut found = all.iter().filter(|(key, ..)| key.key().name() == name).map(|(.., value)| value);
        match (found.next(), found.next()) {
            (Some(DebugValue::Counter(count)), None) => *count,
            other => panic!("{name}: {other:?}"),
        }
    })
}

#[test]
fn samples_are_counted_as_sent_or_failed_and_rejections_apart() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let log = Log::default();
    let _guard = log.start();
    let partial = |rejected_profiles, message: &str| {
        let error_message = message.to_owned();
        let partial_success = Some(ExportProfilesPartialSuccess { rejected_profiles, error_message });
        Ok(ExportProfilesServiceResponse { partial_success })
    };
    let mut answers =
        vec![partial(0, ""), partial(0, "slow down"), partial(2, "bad"), Err(Status::internal("x")), OK];
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut exporter = exporter(move |_| answers.pop().unwrap());
            for (n, count) in [1, 10, 100, 1_000, 10_000].into_iter().enumerate() {
                send(&mut exporter, second(n as u64, count)).await;
            }
        });
    });
    let names = [
        "otelcol_exporter_sent_profile_samples",
        "otelcol_exporter_send_failed_profile_samples",
        "otelcol_exporter_otlp_rejected_profiles_total",
    ];
    assert_eq!(counter(&snapshotter, names), [11_101, 10, 2]);
    let partial: Vec<_> = log.lines().into_iter().filter(|line| line.contains("only in part")).collect();
    assert_eq!(partial.len(), 2, "{partial:?}");
    assert!(partial.iter().any(|line| line.contains("rejected_profiles=2")));
}

#[tokio::test]
async fn a_large_window_goes_in_requests_below_the_bound() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let service = service_fn(move |request: ExportProfilesServiceRequest| {
        seen.lock().unwrap().push((samples(&request), otlp_size(&request)));
        std::future::ready(OK)
    });
    let mut exporter =
        OtlpExporter::over(&Settings::new("otlp"), service, String::new(), Duration::from_secs(1), 10_000);
    send(&mut exporter, second(0, 5_000)).await;
    let sizes = sizes.lock().unwrap();
    assert!(sizes.len() >= 4 && sizes.iter().all(|(_, bytes)| *bytes <= 10_000), "{sizes:?}");
    assert_eq!(sizes.iter().map(|(samples, _)| samples).sum::<usize>(), 5_000);
}

fn otlp_size(request: &ExportProfilesServiceRequest) -> usize {
    prost::Message::encoded_len(request)
}
