//! The telemetry of a process, as it is installed and changed while it runs. One test: it is once in a process.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use metrics::{counter, describe_counter, describe_histogram, histogram};
use serde_json::json;
use telemetry::config::Telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing::debug;

/// Head and body of the answer to a scrape.
async fn scrape(address: SocketAddr, accept: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    Ok((head.to_owned(), body.to_owned()))
}

fn config(level: &str, port: u16, log_level: &str, log: &Path) -> Telemetry {
    serde_json::from_value(json!({
        "metrics": { "level": level, "readers": [
            { "pull": { "exporter": { "prometheus": { "port": port } } } },
        ] },
        "logs": { "level": log_level, "output_paths": [log] },
        "resource": { "service.name": "te\"st" },
    }))
    .expect("a configuration")
}

#[tokio::test]
async fn telemetry_is_installed_and_changed_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let mut handle = telemetry::install(&config("normal", 0, "info", &first)).unwrap();
    describe_counter!("test_runs_total", "Runs.");
    counter!("test_runs_total", "why" => "\\\"").increment(1);
    describe_histogram!("test_sizes", "Sizes.");
    histogram!("test_sizes").record(1.0);

    // Each format is served by what the client accepts.
    let address = handle.address().unwrap();
    let (head, body) = scrape(address, "*/*").await.unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("test_runs_total{why=\"\\\\\\\"\"} 1\n"), "{body}");
    assert!(body.contains("service_name=\"te\\\"st\""), "{body}");
    assert!(!body.contains("test_sizes"), "{body}");
    let (head, body) = scrape(address, "application/openmetrics-text").await.unwrap();
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.contains("# TYPE target info\n") && body.ends_with("# EOF\n"), "{body}");

    // Another level: the endpoint stays, shows more, and lines go elsewhere.
    handle.apply(&config("detailed", 0, "debug", &second)).await.unwrap();
    assert_eq!(handle.address(), Some(address));
    debug!("A fine line.");
    assert!(scrape(address, "*/*").await.unwrap().1.contains("test_sizes_count 1\n"));
    handle.flush();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert!(read(&first).contains("Serving metrics.") && !read(&first).contains("A fine line."));
    assert!(read(&second).contains("A fine line."));

    // A configuration that cannot be applied leaves everything as it is.
    let occupied = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = occupied.local_addr().unwrap().port();
    let error = handle.apply(&config("normal", taken, "info", &first)).await.unwrap_err().to_string();
    assert!(
        error.starts_with(
            "service::telemetry::metrics::readers::0::pull::exporter::prometheus: cannot listen on"
        ),
        "{error}"
    );
    assert_eq!(handle.address(), Some(address));
    assert!(scrape(address, "*/*").await.unwrap().1.contains("test_sizes"));

    // Another address, then none.
    drop(occupied);
    handle.apply(&config("normal", taken, "info", &first)).await.unwrap();
    assert_eq!(handle.address().unwrap().port(), taken);
    assert!(scrape(address, "*/*").await.is_err());
    let moved = handle.address().unwrap();
    assert!(!scrape(moved, "*/*").await.unwrap().1.contains("test_sizes"));
    handle.apply(&config("none", taken, "info", &first)).await.unwrap();
    assert_eq!(handle.address(), None);
    assert!(scrape(moved, "*/*").await.is_err());
}
