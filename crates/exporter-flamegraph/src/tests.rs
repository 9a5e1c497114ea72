//! Tests of the exporter over real connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use confighttp::Endpoint;
use exporterhelper::{Delivery, DeliverySettings};
use pdata::{
    Batch, Code, Event, Frame, Function, ImageKey, KTime, Line, Lines, Measure, Pc, Pid, ProcessKey, Sample,
    Stack, Watermark,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
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

/// Longest that anything may take here that does not wait for a client: less than the time that a client may take to
/// read an answer, after which its connection is cut off.
const PATIENCE: Duration = Duration::from_secs(20);
/// Less than the time that a client may take to send a request.
const SILENT_FOR: Duration = Duration::from_secs(4);
/// Distinct functions, each with a name of some KiB: together more than two sockets hold of an answer.
const NAMES: usize = 4_000;
const NAME_BYTES: usize = 4 << 10;

/// A second in which functions with long names ran, each once.
fn long_names(second: u64, watermark: Watermark) -> Batch {
    let sample = |number: usize| {
        let name = format!("{number:0>NAME_BYTES$}").into();
        let function = Arc::new(Function { name, ..Function::default() });
        let lines = Arc::new(Lines([Line { function, line: 0 }].into()));
        let frame = Frame { lines: Some(lines), ..Frame::exact(Pc(number as u64), Code::Unknown) };
        Event::Sample(Sample {
            at: KTime::from_nanos(second * 1_000_000_000),
            measure: Measure::OnCpu { period: Duration::from_millis(10) },
            stack: Stack::new(vec![frame]),
            ..Sample::default()
        })
    };
    Batch {
        events: Arc::new((0..NAMES).map(sample).collect::<Vec<_>>().into()),
        watermark,
        ..Batch::default()
    }
}

/// Clients that ask for more than sockets hold and never read it, together with as many silent ones as there are
/// connections, hold up neither the stage nor later clients.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stop_reading_hold_up_nobody() {
    let before = |second: u64| Watermark::before(KTime::from_nanos(second * 1_000_000_000));
    let mut exporter = exporter();
    send(&mut exporter, long_names(1, before(2))).await;
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut client = ask(&exporter, "/api/download?format=folded").await;
        // The client's answer is under way, and will not be read.
        assert!(timeout(PATIENCE, client.read_u8()).await.is_ok_and(|first| first.is_ok()));
        stalled.push(client);
    }
    let others = async {
        for second in 2..=6 {
            assert_eq!(send(&mut exporter, batch(second, before(second + 1))).await, before(second + 1));
        }
        assert_eq!(samples(&exporter, "").await, 5_000 + NAMES as u64);
    };
    timeout(PATIENCE, others).await.expect("nobody waits for those who do not read");
    // The connection of a silent client becomes a speaking one's, before the first has been silent for longer than it
    // may. A machine that stands still for that long shows nothing: then the step is tried again.
    let time_until_served = async || {
        let mut silent = Vec::new();
        for _ in 0..400 {
            silent.push(TcpStream::connect(exporter.exporter().address()).await.unwrap());
        }
        let began = Instant::now();
        let late = timeout(PATIENCE, samples(&exporter, "")).await;
        assert_eq!(late.expect("who comes later has a place"), 5_000 + NAMES as u64);
        began.elapsed()
    };
    let mut least = Duration::MAX;
    for _ in 0..5 {
        if least > SILENT_FOR {
            least = time_until_served().await;
        }
    }
    assert!(
        least <= SILENT_FOR,
        "{least:?}: who comes later waits until those who say nothing are shown out"
    );
    // The answer was not read: of an answer that fits into sockets nothing would have been left to be sent.
    let mut rest = Vec::new();
    let _reset = stalled.swap_remove(0).read_to_end(&mut rest).await;
    assert!(rest.len() < NAMES * NAME_BYTES, "{} bytes of an answer that nobody read were sent", rest.len());
}
