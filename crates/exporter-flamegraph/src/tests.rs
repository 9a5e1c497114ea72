//! The exporter over real connections.

use std::sync::Arc;
use std::time::Duration;

use confighttp::Endpoint;
use exporterhelper::{Delivery, DeliverySettings};
use pdata::{Batch, Event, ImageKey, KTime, Measure, Pid, ProcessKey, Sample, Watermark};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::{Service as _, ServiceExt as _};

use crate::{Config, FlamegraphExporter};

fn exporter() -> Delivery<FlamegraphExporter> {
    let config = Config { endpoint: Endpoint::new("localhost", 0), ..Config::default() };
    FlamegraphExporter::start(&DeliverySettings::new("flamegraph"), &config).unwrap()
}

/// A second of samples, 100 of each of ten processes.
fn batch(second: u64, watermark: Watermark) -> Batch {
    let sample = |number: u64| {
        let process =
            ProcessKey { pid: Pid(u32::try_from(number % 10).unwrap() + 1), ..ProcessKey::default() };
        Event::Sample(Sample {
            at: KTime::from_nanos(second * 1_000_000_000 + number),
            key: ImageKey { process, ..ImageKey::default() },
            measure: Measure::OnCpu { period: Duration::from_millis(10) },
            ..Sample::default()
        })
    };
    Batch {
        events: Arc::new((0..1_000).map(sample).collect::<Vec<_>>().into()),
        watermark,
        ..Batch::default()
    }
}

async fn send(exporter: &mut Delivery<FlamegraphExporter>, batch: Batch) -> Watermark {
    exporter.ready().await.unwrap().call(batch).await.unwrap()
}

async fn ask(exporter: &Delivery<FlamegraphExporter>, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(exporter.exporter().address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn samples(exporter: &Delivery<FlamegraphExporter>, filter: &str) -> u64 {
    let mut answer = String::new();
    let mut stream = ask(exporter, &format!("/api/status{filter}")).await;
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let status: Value = serde_json::from_str(body).unwrap_or_else(|fault| panic!("{fault}: {answer}"));
    status.pointer("/answer/total/samples").and_then(Value::as_u64).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_shown_and_the_port_is_free_at_the_end() {
    let mut exporter = exporter();
    let before = |second: u64| Watermark::before(KTime::from_nanos(second * 1_000_000_000));
    assert_eq!(send(&mut exporter, batch(1, before(2))).await, before(2));
    assert_eq!(send(&mut exporter, batch(2, before(3))).await, before(3));
    assert_eq!(samples(&exporter, "").await, 2_000);
    assert_eq!(samples(&exporter, "?pid=3").await, 200);
    let address = exporter.exporter().address();
    assert_eq!(send(&mut exporter, batch(3, Watermark::END)).await, Watermark::END);
    std::net::TcpListener::bind(address).unwrap();
}

/// Clients that ask and never read, more than there are places for, hold up neither the stage nor who comes later.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stop_reading_hold_up_nobody() {
    let mut exporter = exporter();
    let mut stalled = Vec::new();
    for _ in 0..400 {
        stalled.push(ask(&exporter, "/page.js").await);
    }
    for second in 1..=5 {
        let watermark = Watermark::before(KTime::from_nanos((second + 1) * 1_000_000_000));
        assert_eq!(send(&mut exporter, batch(second, watermark)).await, watermark);
    }
    assert_eq!(samples(&exporter, "").await, 5_000);
    drop(stalled);
}
