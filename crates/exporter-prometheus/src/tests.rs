//! The pages that a scrape gets.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use confighttp::Endpoint;
use exporterhelper::{Delivery, DeliverySettings};
use pdata::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::Service as _;

use crate::{Config, Label, PrometheusExporter};

fn config() -> Config {
    Config { endpoint: Endpoint::new("localhost", 0), ..Config::default() }
}

fn start(config: Config) -> Delivery<PrometheusExporter> {
    PrometheusExporter::start(&DeliverySettings::new("prometheus"), config).unwrap()
}

/// A batch whose clock shows 2026-08-21T09:30:00Z when the monotonic clock shows 0.
fn batch(events: Vec<Event>, watermark: Watermark) -> Batch {
    let unix = UnixNanos::from_nanos(1_787_304_600_000_000_000);
    let clock = ClockOffset::from_readings(KTime::ZERO, BootTime::from_nanos(0), unix);
    Batch { events: Arc::new(events.into()), watermark, clock, ..Batch::default() }
}

fn at(millis: u64) -> KTime {
    KTime::from_nanos(millis * 1_000_000)
}

fn image(pid: u32, kind: ImageKind) -> Arc<Image> {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(pid.into()) };
    let key = ImageKey { process, exec_count: ExecCount(1) };
    Arc::new(Image::new(key, UnixNanos::default(), kind))
}

fn program(pid: u32, path: &str, state: FileState) -> Arc<Image> {
    let executable =
        Executable { state, device: 1, inode: 2, mount_namespace: 3, ..Executable::at(Path::new(path)) };
    image(pid, ImageKind::User { executable: Arc::new(executable), script: None, loader: None })
}

fn samples(image: Option<&Arc<Image>>, count: u64, period: Duration) -> impl Iterator<Item = Event> {
    let image = image.cloned();
    (0..count).map(move |_| {
        Event::Sample(Sample {
            at: at(1),
            key: image.as_ref().map_or(ImageKey::default(), |image| image.key),
            measure: Measure::OnCpu { period },
            comm: Comm(*b"gone\0\0\0\0\0\0\0\0\0\0\0\0"),
            image: image.clone(),
            ..Sample::default()
        })
    })
}

fn loss(count: u64) -> Event {
    Event::Loss(Loss { from: at(0), until: at(1), reason: LossReason::SampleRingFull, count })
}

/// Samples of every kind of image and thread, each of which is named in a way of its own.
fn everyone() -> Vec<Event> {
    let kthread = image(2, ImageKind::Kernel(Comm(*b"kworker/0:1\0\0\0\0\0")));
    let cc = program(10, "/usr/bin/cc", FileState::Linked);
    let old = program(11, "/usr/bin/cc", FileState::Deleted);
    let odd = program(12, "/tmp/a\"b\\c\nd", FileState::Linked);
    let mut events = Vec::new();
    events.extend(samples(Some(&cc), 3, Duration::from_nanos(52_631_578)));
    events.extend(samples(Some(&old), 1, Duration::from_nanos(105_263_157)));
    events.extend(samples(Some(&kthread), 2, Duration::from_millis(10)));
    events.extend(samples(Some(&odd), 1, Duration::from_millis(10)));
    events.extend(samples(None, 1, Duration::from_millis(10)));
    events.push(loss(9));
    events
}

async fn push(exporter: &mut Delivery<PrometheusExporter>, events: Vec<Event>, watermark: Watermark) {
    let answer = exporter.call(batch(events, watermark)).await;
    assert_eq!(answer.unwrap(), watermark, "all of a batch is counted at once");
}

/// Head and body of the answer to the second of two scrapes: the first shows new series as 0.
async fn fetch(address: SocketAddr, accept: &str) -> io::Result<(String, String)> {
    fetch_once(address, accept).await?;
    fetch_once(address, accept).await
}

async fn fetch_once(address: SocketAddr, accept: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Ok((head.to_owned(), body.to_owned()))
}

/// Header by which Prometheus 3 asks.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

#[tokio::test]
async fn each_executable_has_its_cpu_time_and_samples_to_the_nanosecond() {
    let mut exporter = start(config());
    push(&mut exporter, everyone(), Watermark::before(at(2))).await;
    push(&mut exporter, everyone(), Watermark::before(at(3))).await;
    let (head, body) = fetch(exporter.exporter().address(), PROMETHEUS).await.unwrap();
    assert!(head.contains("text/plain; version=0.0.4"), "OpenMetrics is not enabled: {head}");
    for line in [
        "# TYPE profile_cpu_seconds_total counter",
        r#"profile_cpu_seconds_total{process_executable_name="cc",process_executable_path="/usr/bin/cc"} 0.526315782"#,
        r#"profile_cpu_seconds_total{process_executable_name="[kworker/0:1]"} 0.040000000"#,
        r#"profile_cpu_seconds_total{process_executable_name="gone (unresolved)"} 0.020000000"#,
        r#"profile_cpu_seconds_total{process_executable_name="other"} 0.000000000"#,
        r#"profile_samples_total{process_executable_name="cc",process_executable_path="/usr/bin/cc"} 8"#,
        r#"profile_samples_total{process_executable_name="a\"b\\c\nd",process_executable_path="/tmp/a\"b\\c\nd"} 2"#,
        r#"profile_lost_records_total{reason="sample_ring_full"} 18"#,
        r#"profile_lost_records_total{reason="sample_memory_limit"} 0"#,
    ] {
        assert!(body.lines().any(|found| found == line), "no {line} in:\n{body}");
    }
    assert!(!body.contains("# EOF"));
}

#[tokio::test]
async fn threads_of_a_process_that_is_not_known_are_told_apart() {
    let mut exporter = start(config());
    let mut events: Vec<_> = samples(None, 3, Duration::from_millis(10)).collect();
    if let Event::Sample(sample) = &mut events[1] {
        sample.comm = Comm(*b"other one\0\0\0\0\0\0\0");
    }
    push(&mut exporter, events, Watermark::before(at(2))).await;
    let (_, body) = fetch(exporter.exporter().address(), PROMETHEUS).await.unwrap();
    for (name, count) in [("gone", 2), ("other one", 1)] {
        let line =
            format!(r#"profile_samples_total{{process_executable_name="{name} (unresolved)"}} {count}"#);
        assert!(body.lines().any(|found| found == line), "no {line} in:\n{body}");
    }
}

/// An image that changes its container has a series in each; an image in no container has no such label.
#[tokio::test]
async fn series_are_of_whatever_labels_are_chosen() {
    let contained = |number: u32, facts: &[(&'static str, &'static str)]| {
        let mut image = (*program(10, "/usr/bin/cc", FileState::Linked)).clone();
        image.context = Some(Context { user: Some(Uid(number)), cgroup: None });
        image.attributes.add(facts.iter().map(|(key, text)| Attribute::text(key, *text)).collect());
        Arc::new(image)
    };
    let web = contained(1, &[("container.id", "aa"), ("service.name", "web")]);
    let none = contained(2, &[]);
    let pod = contained(
        4,
        &[
            ("k8s.pod.name", "cart-x"),
            ("k8s.namespace.name", "shop"),
            ("k8s.deployment.name", "cart"),
            ("k8s.container.name", "app"),
        ],
    );
    let unit = contained(3, &[("procinfo.systemd.unit", "a.service"), ("container.id", "")]);
    let events = || {
        let of = |image, count| samples(Some(image), count, Duration::from_millis(10));
        of(&web, 1).chain(of(&none, 2)).chain(of(&unit, 4)).chain(of(&pod, 8)).collect::<Vec<_>>()
    };
    let scraped = async |labels: &[Label]| {
        let mut exporter = start(Config { labels: labels.into(), ..config() });
        push(&mut exporter, events(), Watermark::before(at(2))).await;
        let (_, body) = fetch(exporter.exporter().address(), PROMETHEUS).await.unwrap();
        let mut lines: Vec<_> =
            body.lines().filter(|line| line.starts_with("profile_samples_total")).collect();
        lines.sort_unstable();
        lines.iter().map(|line| line.replace("profile_samples_total", "")).collect::<Vec<_>>()
    };
    let other = r#"{process_executable_name="other"} 0"#;
    assert_eq!(scraped(&[Label::ContainerId]).await, [" 14", r#"{container_id="aa"} 1"#, other]);
    let pod = r#"{k8s_pod_name="cart-x",k8s_namespace_name="shop",k8s_deployment_name="cart",k8s_container_name="app"} 8"#;
    let all = [Label::Pod, Label::Namespace, Label::Deployment, Label::K8sContainer];
    assert_eq!(scraped(&all).await, [" 7", pod, other]);
    assert_eq!(scraped(&all[1..2]).await, [" 7", r#"{k8s_namespace_name="shop"} 8"#, other]);
    assert_eq!(
        scraped(&[Label::ServiceName, Label::Unit]).await,
        [
            other,
            r#"{service_name="cc",procinfo_systemd_unit="a.service"} 4"#,
            r#"{service_name="cc"} 10"#,
            r#"{service_name="web"} 1"#,
        ]
    );
}

#[tokio::test]
async fn keys_change_names_labels_and_format() {
    let config = Config {
        namespace: "edge".to_owned(),
        const_labels: [("zone".to_owned(), "a\"b".to_owned())].into(),
        send_timestamps: true,
        enable_open_metrics: true,
        max_series: 1,
        ..config()
    };
    let mut exporter = start(config);
    push(&mut exporter, everyone(), Watermark::before(at(2_500))).await;
    let (head, body) = fetch(exporter.exporter().address(), PROMETHEUS).await.unwrap();
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    for line in [
        "# TYPE edge_profile_cpu_seconds counter",
        "# UNIT edge_profile_cpu_seconds seconds",
        // The executable that used most had the one series there is.
        r#"edge_profile_samples_total{zone="a\"b",process_executable_name="cc",process_executable_path="/usr/bin/cc"} 4 1787304602.500"#,
    ] {
        assert!(body.lines().any(|found| found == line), "no {line} in:\n{body}");
    }
    assert!(body.ends_with("\n# EOF\n"));
    let (_, text) = fetch(exporter.exporter().address(), "text/plain").await.unwrap();
    let other = r#"edge_profile_samples_total{zone="a\"b",process_executable_name="other"} 4 1787304602500"#;
    assert!(text.lines().any(|found| found == other), "no {other} in:\n{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("edge_profile_cpu_seconds_total{")).count(), 2);
}

#[tokio::test]
async fn the_end_is_answered_when_the_port_is_free_for_a_successor() {
    let mut exporter = start(config());
    let address = exporter.exporter().address();
    push(&mut exporter, everyone(), Watermark::before(at(2))).await;
    // A scraper that keeps its connection.
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 15]).await.unwrap();
    push(&mut exporter, everyone(), Watermark::END).await;
    let endpoint = Endpoint::new("localhost", address.port());
    let mut successor = start(Config { endpoint: endpoint.clone(), ..config() });
    push(&mut successor, everyone(), Watermark::before(at(2))).await;
    let (_, body) = fetch(address, "*/*").await.unwrap();
    assert!(body.contains(r#"name="[kworker/0:1]"} 0.020000000"#), "it counts from 0: {body}");
    let error = PrometheusExporter::start(&DeliverySettings::new("second"), Config { endpoint, ..config() });
    assert!(error.unwrap_err().to_string().contains("cannot listen on"));
}
