//! A server that is away, with the queue on disk and retries between the two. Time is paused once the disk has done its
//! work: everything that happens then happens in memory.

use tower::service_fn;

use super::*;
use crate::config::RetryConfig;
use crate::{BatchLayer, Delivered, retry_layer};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A queue on disk with retries as they are without configuration, before a server that takes nothing for `away`. The
/// requests have `samples`, all are on disk, and `num_consumers` of them are being sent.
async fn outage(away: Duration, num_consumers: usize, samples: &[u64]) -> (Rig, tempfile::TempDir) {
    let directory = tempfile::TempDir::new().unwrap();
    let settings = on_disk::settings(directory.path());
    let config = QueueConfig { num_consumers, ..on_disk::on_disk() };
    let (attempted, mut attempts) = mpsc::channel(100);
    let began = Instant::now();
    let server = service_fn(move |request: ProfilesRequest| {
        // Only the first attempts are awaited.
        let _full = attempted.try_send(request.samples);
        let is_away = began.elapsed() < away;
        async move { if is_away { Err(SendError::retryable("unavailable")) } else { Ok(Delivered::default()) } }
    });
    let stop = Stop::default();
    let retry = retry_layer(&settings, &RetryConfig::default(), &config, &stop).layer(server);
    let batch = BatchLayer::new(&config, 1 << 20).layer(retry);
    let mut rig = Rig::before(&config, &settings, &stop, batch);
    rig.window(10, samples).await;
    rig.until_answered(before(10)).await;
    for _ in 0..num_consumers.min(samples.len()) {
        attempts.recv().await.unwrap();
    }
    tokio::time::pause();
    (rig, directory)
}

#[tokio::test]
async fn a_server_that_is_away_for_minutes_gets_everything() {
    let (rig, _directory) = outage(6 * MINUTE, 3, &[1, 2, 4]).await;
    sleep(8 * MINUTE).await;
    let counted = rig.metrics();
    assert!(counted.contains(&metric("sent_profile_samples", 7.0)), "{counted:?}");
    assert!(counted.iter().all(|(name, _)| name != "send_failed_profile_samples"), "{counted:?}");
}

/// The one that is being tried, too: the others wait for its consumer.
#[tokio::test]
async fn a_server_that_is_away_for_longer_than_max_age_gets_none_of_it() {
    let (rig, _directory) = outage(48 * HOUR, 1, &[1, 2, 4]).await;
    sleep(23 * HOUR).await;
    let counted = rig.metrics();
    assert!(counted.iter().all(|(name, _)| name != "send_failed_profile_samples"), "{counted:?}");
    sleep(2 * HOUR).await;
    let counted = rig.metrics();
    assert!(counted.contains(&metric("send_failed_profile_samples", 7.0)), "{counted:?}");
    sleep(48 * HOUR).await;
    let counted = rig.metrics();
    assert!(counted.iter().all(|(name, _)| name != "sent_profile_samples"), "{counted:?}");
}
