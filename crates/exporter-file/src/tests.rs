//! The exporter against real files.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exporterhelper::Settings;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use pdata::*;
use serde_json::Value;
use tower::{Service, ServiceExt};

use crate::{Config, FileExporter};

fn config(path: &Path) -> Config {
    Config { path: path.into(), window: Duration::from_secs(1), append: false }
}

/// `count` samples within the second `second`, and the promise that it has passed.
fn second(second: u64, count: u64) -> Batch {
    let start = second * 1_000_000_000;
    let events = (0..count).map(|n| Event::Sample(sample(start + n))).collect();
    let watermark = Watermark::before(KTime::from_nanos(start + 1_000_000_000));
    Batch { events: Arc::new(events), watermark, clock: ClockOffset::default(), flush: false }
}

fn sample(at: u64) -> Sample {
    Sample { at: KTime::from_nanos(at), tid: Tid(1), cgroup: 1, ..Sample::default() }
}

async fn send(exporter: &mut FileExporter, batch: Batch) -> Watermark {
    exporter.ready().await.unwrap().call(batch).await.unwrap()
}

/// Samples on each line; panics on a line that is no JSON.
fn samples(path: &Path) -> Vec<usize> {
    let count = |line: &str| {
        let request: Value = serde_json::from_str(line).unwrap();
        let samples = request["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0]["samples"].clone();
        samples.as_array().unwrap().iter().map(|s| s["timestampsUnixNano"].as_array().unwrap().len()).sum()
    };
    fs::read_to_string(path).unwrap().lines().map(count).collect()
}

#[tokio::test]
async fn each_window_is_on_a_line_before_it_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profiles.jsonl");
    let mut exporter = FileExporter::open(&Settings::new("file"), config(&path)).unwrap();
    assert_eq!(send(&mut exporter, second(0, 3)).await, Watermark::before(KTime::from_nanos(1_000_000_000)));
    assert_eq!(samples(&path), [3]);
    let half = Batch { watermark: Watermark::before(KTime::from_nanos(1_500_000_000)), ..second(1, 2) };
    assert_eq!(send(&mut exporter, half).await, Watermark::before(KTime::from_nanos(1_000_000_000)));
    assert_eq!(samples(&path), [3], "the window is still open");
    let end = Batch { watermark: Watermark::END, ..second(9, 0) };
    assert_eq!(send(&mut exporter, end).await, Watermark::END);
    assert_eq!(samples(&path), [3, 2]);
}

#[tokio::test]
async fn a_file_is_started_anew_or_appended_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("profiles.jsonl");
    fs::write(&path, "old, and cut off by a cra").unwrap();
    send(
        &mut FileExporter::open(&Settings::new("file"), Config { append: true, ..config(&path) }).unwrap(),
        second(0, 1),
    )
    .await;
    send(
        &mut FileExporter::open(&Settings::new("file"), Config { append: true, ..config(&path) }).unwrap(),
        second(0, 2),
    )
    .await;
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().next(), Some("old, and cut off by a cra"));
    fs::write(&path, text.split_once('\n').unwrap().1).unwrap();
    assert_eq!(samples(&path), [1, 2]);
    send(&mut FileExporter::open(&Settings::new("file"), config(&path)).unwrap(), second(0, 4)).await;
    assert_eq!(samples(&path), [4]);
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none/profiles.jsonl");
    let error = FileExporter::open(&Settings::new("file"), config(&missing)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "path: cannot open {} for writing: create its directory, or name a file in one that exists",
            missing.display()
        )
    );
    let error = FileExporter::open(&Settings::new("file"), config(directory.path())).unwrap_err();
    assert!(error.to_string().ends_with("it is a directory, name a file in it"), "{error}");
}

/// Value of a counter of this exporter, by the end of its name.
fn counter(snapshotter: &Snapshotter, name: &str) -> u64 {
    let all = snapshotter.snapshot().into_vec().into_iter();
    let mut found = all.filter(|(key, ..)| key.key().name() == name).map(|(.., value)| value);
    match (found.next(), found.next()) {
        (Some(DebugValue::Counter(count)), None) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_written_is_counted_and_given_up_on() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut exporter =
            FileExporter::open(&Settings::new("file"), config(Path::new("/dev/full"))).unwrap();
        assert_eq!(
            send(&mut exporter, second(0, 3)).await,
            Watermark::before(KTime::from_nanos(1_000_000_000))
        );
    });
    assert_eq!(counter(&snapshotter, "otelcol_exporter_send_failed_profile_samples"), 3);
}
