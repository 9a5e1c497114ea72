//! A queue on disk. Time is real: a thread writes.

use std::fs;
use std::path::Path;

use configtypes::ByteSize;
use extension_file_storage::{Config, FileStorage};
use tempfile::TempDir;

use super::*;

/// Longer than any of these tests takes.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn on_disk() -> QueueConfig {
    QueueConfig { storage: Some("file_storage".to_owned()), ..QueueConfig::default() }
}

pub(super) fn settings(directory: &Path) -> DeliverySettings {
    let (fsync, fsync_interval) = (false, Duration::ZERO);
    let config = Config { directory: directory.to_owned(), fsync, fsync_interval, ..Config::default() };
    let storage = Some(Arc::new(FileStorage::open(config).unwrap()));
    DeliverySettings { storage, ..DeliverySettings::new("otlp") }
}

impl Rig {
    fn on_disk(config: &QueueConfig, directory: &Path) -> Self {
        Self::over(config, &settings(directory))
    }

    /// Waits until the queue has acked `acked`.
    pub(super) async fn until_answered(&mut self, acked: Watermark) {
        let waited = async { while self.answered().await < acked {} };
        tokio::time::timeout(PATIENCE, waited).await.unwrap();
        assert_eq!(self.answered().await, acked);
    }

    /// True if the queue acks `acked` before long, though no request has been taken.
    async fn is_answered_untaken(&mut self, acked: Watermark) -> bool {
        for _ in 0..50 {
            if self.answered().await == acked {
                return true;
            }
        }
        false
    }

    async fn end(&mut self, samples: &[u64]) {
        let end = self.queue.ready().await.unwrap().call(finished(Watermark::END, samples));
        assert_eq!(end.await.unwrap(), Watermark::END);
    }
}

#[tokio::test]
async fn what_is_on_disk_is_answered_though_nobody_takes_it() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    rig.window(10, &[1, 2]).await;
    rig.until_answered(before(10)).await;
}

#[tokio::test]
async fn what_is_being_sent_when_the_agent_dies_is_sent_by_the_next() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::on_disk(&QueueConfig { num_consumers: 2, ..on_disk() }, dir.path());
    rig.window(10, &[1, 2, 4]).await;
    let _first = rig.sent().await;
    rig.sent().await.1.send(taken()).unwrap();
    let _third = rig.sent().await;
    rig.until_answered(before(10)).await;
    // The queue learns nothing of the end, as when the agent is killed, but the disk does the work that was asked for
    // already.
    drop(rig);
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    let mut again = [rig.sent().await, rig.sent().await];
    again.sort_by_key(|(samples, _)| *samples);
    assert_eq!(again.each_ref().map(|(samples, _)| *samples), [1, 4]);
    for (_, respond) in again {
        respond.send(taken()).unwrap();
    }
    rig.end(&[]).await;
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    rig.end(&[]).await;
    assert!(rig.server.try_recv().is_err(), "nothing is left");
}

#[tokio::test]
async fn at_the_end_what_cannot_be_sent_stays_for_the_next() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::on_disk(&QueueConfig { num_consumers: 1, ..on_disk() }, dir.path());
    rig.window(10, &[1, 2]).await;
    rig.until_answered(before(10)).await;
    let (_, respond) = rig.sent().await;
    let end = tokio::spawn(rig.queue.ready().await.unwrap().call(finished(Watermark::END, &[])));
    respond.send(Err(SendError::retryable("unavailable"))).unwrap();
    assert_eq!(end.await.unwrap().unwrap(), Watermark::END);
    assert!(rig.server.try_recv().is_err(), "what is on disk is not tried again");
    assert!(rig.metrics().iter().all(|(name, _)| name != "send_failed_profile_samples"), "nor given up on");
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    let mut samples = [rig.sent().await.0, rig.sent().await.0];
    samples.sort_unstable();
    assert_eq!(samples, [1, 2]);
}

/// However soon the last window is on disk: a consumer is free only long after.
#[tokio::test]
async fn the_last_window_is_tried_once_and_stays_if_that_fails() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::on_disk(&QueueConfig { num_consumers: 1, ..on_disk() }, dir.path());
    rig.window(10, &[1, 2]).await;
    rig.until_answered(before(10)).await;
    let (_, respond) = rig.sent().await;
    let end = tokio::spawn(rig.queue.ready().await.unwrap().call(finished(Watermark::END, &[4, 8])));
    // Both of the last window are on disk.
    let written = async {
        while rig.queue.shared.acked() < Watermark::END {
            sleep(SETTLE).await
        }
    };
    tokio::time::timeout(PATIENCE, written).await.unwrap();
    respond.send(taken()).unwrap();
    let (samples, respond) = rig.sent().await;
    assert_eq!(samples, 4, "what had to wait before stays on disk");
    respond.send(taken()).unwrap();
    rig.sent().await.1.send(Err(SendError::retryable("unavailable"))).unwrap();
    assert_eq!(end.await.unwrap().unwrap(), Watermark::END);
    assert!(rig.metrics().iter().all(|(name, _)| name != "send_failed_profile_samples"));
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    let mut left = [rig.sent().await.0, rig.sent().await.0];
    left.sort_unstable();
    assert_eq!(left, [2, 8]);
}

#[tokio::test]
async fn what_the_server_will_never_take_is_gone() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    rig.window(10, &[1]).await;
    rig.sent().await.1.send(Err(SendError::permanent("bad"))).unwrap();
    rig.end(&[]).await;
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    rig.end(&[]).await;
    assert!(rig.server.try_recv().is_err());
}

#[tokio::test]
async fn what_is_too_old_is_dropped_and_counted() {
    let dir = TempDir::new().unwrap();
    let config = QueueConfig { num_consumers: 1, max_age: Duration::from_secs(3600), ..on_disk() };
    let mut rig = Rig::on_disk(&config, dir.path());
    rig.window(10, &[1, 2]).await;
    let (_, respond) = rig.sent().await;
    rig.until_answered(before(10)).await;
    tokio::time::pause();
    tokio::time::advance(config.max_age).await;
    tokio::time::resume();
    respond.send(taken()).unwrap();
    let dropped = metric("send_failed_profile_samples", 2.0);
    let counted = async {
        while !rig.metrics().contains(&dropped) {
            sleep(SETTLE).await
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.unwrap();
    assert!(rig.server.try_recv().is_err());
}

#[tokio::test]
async fn no_more_bytes_are_kept_than_allowed() {
    let dir = TempDir::new().unwrap();
    let config = QueueConfig { max_bytes: ByteSize::from_bytes(25), ..on_disk() };
    let mut rig = Rig::on_disk(&config, dir.path());
    rig.window(10, &[1, 2, 4]).await;
    assert_eq!(rig.queue.take_lost(), 4, "each has 10 bytes");
}

#[tokio::test]
async fn what_waits_for_memory_comes_in_once_the_rest_is_on_disk() {
    let dir = TempDir::new().unwrap();
    let mut rig = Rig::on_disk(&QueueConfig { block_on_overflow: true, ..on_disk() }, dir.path());
    // Two of these are more than may be held in memory. Nobody takes them.
    let large = || ProfilesRequest { bytes: vec![0; 40 << 20].into(), samples: 1 };
    let window = Finished { requests: vec![large(), large()], acked: before(10) };
    rig.queue.ready().await.unwrap().call(window).await.unwrap();
    tokio::time::timeout(PATIENCE, rig.until_answered(before(10))).await.unwrap();
}

/// The queue's file is a directory: nothing can be written, as on a full disk.
#[tokio::test]
async fn without_a_disk_the_queue_is_in_memory() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("exporter_otlp.redb");
    fs::create_dir(&file).unwrap();
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    rig.window(10, &[1]).await;
    assert_eq!(rig.answered().await, Watermark::NONE, "it is not taken for durable");
    rig.sent().await.1.send(taken()).unwrap();
    rig.until_answered(before(10)).await;
    // The disk recovers, and is tried again when something is to be written and the last attempt is long enough ago.
    fs::remove_dir(&file).unwrap();
    let recovered = async {
        for until in (20..).step_by(10) {
            rig.window(until, &[2]).await;
            if rig.is_answered_untaken(before(until)).await {
                break;
            }
            rig.sent().await.1.send(taken()).unwrap();
            rig.until_answered(before(until)).await;
        }
    };
    tokio::time::timeout(PATIENCE, recovered).await.unwrap();
}

#[tokio::test]
async fn at_the_end_what_is_neither_taken_nor_on_disk_is_counted() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("exporter_otlp.redb")).unwrap();
    let mut rig = Rig::on_disk(&on_disk(), dir.path());
    rig.window(10, &[3]).await;
    let (_, respond) = rig.sent().await;
    let end = tokio::spawn(rig.queue.ready().await.unwrap().call(finished(Watermark::END, &[])));
    respond.send(Err(SendError::retryable("unavailable"))).unwrap();
    assert_eq!(end.await.unwrap().unwrap(), Watermark::END);
    assert!(rig.metrics().contains(&metric("send_failed_profile_samples", 3.0)));
}
