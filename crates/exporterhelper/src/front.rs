//! The front of an exporter, which turns batches into requests.

use std::task::{Context, Poll};

use otlp_profiles::Windows;
use pdata::{Batch, Loss, LossReason, Watermark};
use tower::Service;

use crate::{AckFuture, Queue, Stopped};

/// Gathers batches into windows, for a queue of requests.
#[derive(Debug)]
pub struct Front {
    windows: Windows,
    queue: Queue,
    /// Watermark of the last batch.
    forwarded: Watermark,
}

impl Front {
    /// Puts `windows` before `queue`.
    #[must_use]
    pub fn new(windows: Windows, queue: Queue) -> Self {
        Self { windows, queue, forwarded: Watermark::NONE }
    }

    /// Adds to each batch the losses of samples for which the queue had no room in the open window.
    fn report_lost(&self, batch: &mut Batch) {
        let count = self.queue.take_lost();
        if count > 0 {
            // The loss is not before the last batch's watermark, and not after this one's events.
            let at = self.forwarded.at();
            let lost = Loss { from: at, until: at, reason: LossReason::SampleQueueFull, count };
            batch.report_losses([lost]);
        }
    }
}

impl Service<Batch> for Front {
    type Response = Watermark;
    type Error = Stopped;
    type Future = AckFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        self.queue.poll_ready(cx)
    }

    fn call(&mut self, mut batch: Batch) -> AckFuture {
        self.report_lost(&mut batch);
        self.forwarded = batch.watermark;
        self.queue.call(self.windows.push(&batch))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use otlp_profiles::ProfilesRequest;
    use pdata::{Event, KTime, Sample, Tid};
    use tokio::sync::mpsc;
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;
    use crate::config::QueueConfig;
    use crate::{DeliverySettings, Group, QueueLayer, SendError, Stop};

    /// A batch with a sample before `until`, in milliseconds.
    fn batch(until: u64) -> Batch {
        let at = |millis: u64| KTime::from_nanos(millis * 1_000_000);
        let sample = Sample { at: at(until - 1), tid: Tid(1), ..Sample::default() };
        let (events, watermark) =
            (Arc::new(vec![Event::Sample(sample)].into()), Watermark::before(at(until)));
        Batch { events, watermark, flush: true, ..Batch::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_queue_had_no_room_for_is_told_in_the_next_window() {
        let (taken, mut sent) = mpsc::channel(10);
        let release = Arc::new(tokio::sync::Semaphore::new(0));
        let server = {
            let release = release.clone();
            service_fn(move |group: Group| {
                let (taken, release) = (taken.clone(), release.clone());
                async move {
                    taken.send(group.requests).await.unwrap();
                    release.acquire().await.unwrap().forget();
                    Ok::<_, SendError>(Vec::new())
                }
            })
        };
        let config = QueueConfig { queue_size: 1, ..QueueConfig::default() };
        let queue = QueueLayer::new(&DeliverySettings::new("otlp"), &config, &Stop::default()).layer(server);
        let mut front = Front::new(Windows::new(Duration::from_secs(1), 1 << 20), queue);
        // The first is being sent, so there is no room for the second.
        for until in [10, 20] {
            front.ready().await.unwrap().call(batch(until)).await.unwrap();
        }
        let first = sent.recv().await.unwrap();
        release.add_permits(1);
        tokio::time::sleep(Duration::from_millis(1)).await;
        front.ready().await.unwrap().call(batch(30)).await.unwrap();
        let third = sent.recv().await.unwrap();
        let mentions_loss = |group: &[ProfilesRequest]| {
            let needle = LossReason::SampleQueueFull.as_str().as_bytes();
            group.iter().any(|request| request.bytes.windows(needle.len()).any(|bytes| bytes == needle))
        };
        assert_eq!((mentions_loss(&first), mentions_loss(&third)), (false, true));
    }
}
