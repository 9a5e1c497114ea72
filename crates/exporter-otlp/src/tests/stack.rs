//! The whole exporter: which samples are sent, tried again, dropped, and counted.

use std::time::Duration;

use exporterhelper::DeliverySettings;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesPartialSuccess, ExportProfilesServiceResponse,
};
use pdata::{Batch, Watermark};
use prost::Message as _;
use tonic::Status;
use tower::{Service as _, ServiceExt as _};

use super::grpc::{self, COLLECTOR_LIMIT, Fake};
use super::http::{self, answer};
use super::make::{samples, second};
use super::rude::Rude;
use crate::{Exporter, GrpcConfig};

/// The sum of a counter, whatever its labels.
fn counter(snapshotter: &Snapshotter, names: [&str; 3]) -> [u64; 3] {
    let all = snapshotter.snapshot().into_vec();
    names.map(|name| {
        let of_name = all.iter().filter(|(key, ..)| key.key().name() == name);
        of_name
            .map(|(.., value)| if let DebugValue::Counter(count) = value { *count } else { panic!("{name}") })
            .sum()
    })
}

const NAMES: [&str; 3] = [
    "otelcol_exporter_sent_profile_samples",
    "otelcol_exporter_send_failed_profile_samples",
    "otelcol_exporter_otlp_rejected_profiles_total",
];

/// Sends a window with each of these numbers of samples, one after the other, and ends the stream.
async fn send(mut exporter: Exporter, windows: &[u64]) {
    for (n, &count) in windows.iter().enumerate() {
        exporter.ready().await.unwrap().call(second(n as u64, count)).await.unwrap();
    }
    let end = Batch { watermark: Watermark::END, ..second(windows.len() as u64, 0) };
    assert_eq!(exporter.ready().await.unwrap().call(end).await.unwrap(), Watermark::END);
}

/// Runs `test` and returns the samples that the metrics have counted: sent, failed, rejected.
fn counted(test: impl Future<Output = ()>) -> [u64; 3] {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test);
    });
    counter(&snapshotter, NAMES)
}

/// Bound of an attempt: none. However slow the machine is, an attempt is not given up, since each is counted.
const UNBOUNDED: Duration = Duration::ZERO;

/// Sets a short wait between attempts, and no randomness.
fn impatient(config: &mut exporterhelper::config::RetryConfig) {
    config.initial_interval = Duration::from_millis(1);
    config.randomization_factor = 0.0;
}

#[test]
fn by_grpc_samples_are_sent_tried_again_or_given_up_on_and_counted_so() {
    let partial = |rejected_profiles| {
        let partial = ExportProfilesPartialSuccess { rejected_profiles, error_message: String::new() };
        Ok(ExportProfilesServiceResponse { partial_success: Some(partial) })
    };
    let answers = [
        Ok(ExportProfilesServiceResponse::default()),
        Err(Status::unavailable("a moment")),
        Err(Status::data_loss("a moment")),
        partial(0),
        Err(Status::invalid_argument("bad")),
        partial(2),
    ];
    let counts = counted(async {
        let mut answers = answers.into_iter();
        let fake = Fake::new(move |_| answers.next().unwrap());
        let (address, _server) = fake.serve(None).await;
        let mut config = grpc::config(address);
        config.timeout = UNBOUNDED;
        config.sending_queue.wait_for_result = true;
        impatient(&mut config.retry_on_failure);
        send(crate::grpc(&DeliverySettings::new("otlp_grpc"), &config).unwrap(), &[1, 10, 100, 1_000]).await;
        assert_eq!(fake.count(), 6);
    });
    assert_eq!(counts, [1_011, 100, 2]);
}

#[test]
fn so_they_are_by_http() {
    let counts = counted(async {
        let partial = br#"{"partialSuccess":{"rejectedProfiles":2}}"#;
        let rude = Rude::start(vec![
            answer("200 OK", "", b""),
            answer("503 Service Unavailable", "retry-after: 0\r\n", b""),
            super::rude::Act::Reset,
            answer("200 OK", "", b""),
            answer("400 Bad Request", "", b"bad"),
            answer("200 OK", "content-type: application/json\r\n", partial),
        ])
        .await;
        let mut config = http::config(&rude);
        config.timeout = UNBOUNDED;
        config.sending_queue.wait_for_result = true;
        impatient(&mut config.retry_on_failure);
        send(crate::http(&DeliverySettings::new("otlp_http"), &config).unwrap(), &[1, 10, 100, 1_000]).await;
        assert_eq!(rude.requests().len(), 5, "one was reset before it was read");
    });
    assert_eq!(counts, [1_011, 100, 2]);
}

/// A Collector takes 4 MiB at most, by gRPC and decompressed; a window that needs more arrives whole.
#[test]
fn a_window_larger_than_a_collector_takes_arrives_in_parts() {
    const SAMPLES: u64 = 600_000;
    let counts = counted(async {
        let fake = Fake::collector();
        let (address, _server) = fake.serve(None).await;
        let config = GrpcConfig { timeout: UNBOUNDED, ..grpc::config(address) };
        send(crate::grpc(&DeliverySettings::new("otlp_grpc"), &config).unwrap(), &[SAMPLES]).await;
        let received = fake.received.lock().unwrap();
        let sizes: Vec<_> = received.iter().map(|(_, request)| request.encoded_len()).collect();
        assert!(sizes.len() >= 2 && sizes.iter().all(|&size| size < COLLECTOR_LIMIT), "{sizes:?}");
        assert_eq!(received.iter().map(|(_, request)| samples(request) as u64).sum::<u64>(), SAMPLES);
    });
    assert_eq!(counts, [SAMPLES, 0, 0]);
}

/// A server that comes late gets the windows that the queue holds.
#[test]
fn a_server_that_comes_late_gets_every_window() {
    let counts = counted(async {
        // Nobody else gets the port, and who connects before it listens is refused.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let mut config = grpc::config(address);
        config.timeout = UNBOUNDED;
        impatient(&mut config.retry_on_failure);
        let mut exporter = crate::grpc(&DeliverySettings::new("otlp_grpc"), &config).unwrap();
        for n in 0..5 {
            // Taken at once, though nobody is there.
            exporter.ready().await.unwrap().call(second(n, 1)).await.unwrap();
        }
        let fake = Fake::collector();
        let listener = socket.listen(16).unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(
            tonic::transport::Server::builder().add_service(fake.service()).serve_with_incoming(incoming),
        );
        while fake.count() < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let end = Batch { watermark: Watermark::END, ..second(5, 0) };
        exporter.ready().await.unwrap().call(end).await.unwrap();
        assert_eq!(fake.count(), 5, "once each");
    });
    assert_eq!(counts, [5, 0, 0]);
}
