//! The exporter against real files.

mod append;
mod failing;
mod formats;
mod rotation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exporterhelper::{Delivery, DeliverySettings};
use pdata::*;
use serde_json::Value;
use tower::{Service, ServiceExt};

use crate::{Config, FileExporter};

fn config(path: &Path) -> Config {
    Config { path: path.into(), window: Duration::from_secs(1), ..Config::default() }
}

fn open(config: Config) -> Delivery<FileExporter> {
    assert_eq!(config.validate(), [""; 0]);
    FileExporter::open(&DeliverySettings::new("file"), config).unwrap()
}

/// `count` samples within the second `second`, and the promise that it has passed.
fn second(second: u64, count: u64) -> Batch {
    let start = second * 1_000_000_000;
    let events = (0..count).map(|n| Event::Sample(sample(start + n))).collect();
    let watermark = Watermark::before(KTime::from_nanos(start + 1_000_000_000));
    Batch { events: Arc::new(events), watermark, ..Batch::default() }
}

fn end() -> Batch {
    Batch { watermark: Watermark::END, ..second(1_000_000, 0) }
}

fn sample(at: u64) -> Sample {
    let measure = Measure::OnCpu { period: Duration::from_millis(50) };
    Sample { at: KTime::from_nanos(at), tid: Tid(1), measure, ..Sample::default() }
}

async fn send(exporter: &mut Delivery<FileExporter>, batch: Batch) -> Watermark {
    exporter.ready().await.unwrap().call(batch).await.unwrap()
}

/// Samples in a request as JSON.
fn samples_of(request: &Value) -> usize {
    let samples = request["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0]["samples"].clone();
    samples.as_array().unwrap().iter().map(|s| s["timestampsUnixNano"].as_array().unwrap().len()).sum()
}

/// Samples on each line; panics on a line that is no JSON.
fn samples(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| samples_of(&serde_json::from_str(line).unwrap())).collect()
}

/// Names in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A directory, and a path in it.
fn place(name: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    (directory, path)
}

#[tokio::test]
async fn each_window_is_on_a_line_before_it_is_answered() {
    let (_directory, path) = place("profiles.jsonl");
    let mut exporter = open(config(&path));
    assert_eq!(send(&mut exporter, second(0, 3)).await, Watermark::before(KTime::from_nanos(1_000_000_000)));
    assert_eq!(samples(&path), [3]);
    let half = Batch { watermark: Watermark::before(KTime::from_nanos(1_500_000_000)), ..second(1, 2) };
    assert_eq!(send(&mut exporter, half).await, Watermark::before(KTime::from_nanos(1_000_000_000)));
    assert_eq!(samples(&path), [3], "the window is still open");
    assert_eq!(send(&mut exporter, end()).await, Watermark::END);
    assert_eq!(samples(&path), [3, 2]);
}
