//! Full files, and old ones.

use super::*;
use crate::{Format, Rotation};

/// More samples than fit in a megabyte twice: each its own thread, so that none are merged.
fn large(number: u64) -> Batch {
    let mut batch = second(number, 0);
    let start = number * 1_000_000_000;
    let event =
        |n: u64| Event::Sample(Sample { tid: Tid(u32::try_from(n + 1).unwrap()), ..sample(start + n) });
    batch.events = Arc::new((0..12_000).map(event).collect());
    batch
}

#[tokio::test]
async fn a_full_file_is_renamed_and_the_newest_are_kept() {
    let (directory, path) = place("p.jsonl");
    let rotation = Some(Rotation { max_megabytes: 1, max_backups: 2, ..Rotation::default() });
    let mut exporter = open(Config { rotation, ..config(&path) });
    for number in 0..5 {
        send(&mut exporter, large(number)).await;
    }
    let found = names(directory.path());
    // Each file is named by the window that no longer fitted.
    assert_eq!(found, ["p-1970-01-01T00-00-03.000.jsonl", "p-1970-01-01T00-00-04.000.jsonl", "p.jsonl"],);
    for name in found {
        assert_eq!(samples(&directory.path().join(&name)), [12_000], "{name}");
    }
}

#[tokio::test]
async fn what_a_rotated_file_holds_is_kept_across_a_restart_and_counts() {
    let (directory, path) = place("p.jsonl");
    let rotation = Some(Rotation { max_megabytes: 1, ..Rotation::default() });
    let config = Config { rotation, ..config(&path) };
    send(&mut open(config.clone()), large(0)).await;
    send(&mut open(config), large(1)).await;
    assert_eq!(names(directory.path()), ["p-1970-01-01T00-00-01.000.jsonl", "p.jsonl"]);
    assert_eq!(samples(&path), [12_000]);
}

#[tokio::test]
async fn old_pprof_files_are_deleted_too() {
    let (directory, path) = place("cpu.pb.gz");
    let rotation = Some(Rotation { max_backups: 2, ..Rotation::default() });
    let mut exporter = open(Config { format: Format::Pprof, rotation, ..config(&path) });
    for number in 0..4 {
        send(&mut exporter, second(number, 1)).await;
    }
    let expected = ["cpu-1970-01-01T00-00-02.000.pb.gz", "cpu-1970-01-01T00-00-03.000.pb.gz"];
    assert_eq!(names(directory.path()), expected);
}
