//! State that the queue's two ends share: the stage that takes windows, and the task that has them sent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use extension_file_storage::{Appended, Stored};
use otlp_profiles::ProfilesRequest;
use pdata::Watermark;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{Level, debug, enabled, error, info};

use super::disk::{Disk, Report};
use super::interleave;
use super::items::{Items, Refused, RequestSource, Taken};
use super::metrics::QueueMetrics;
use crate::batch::TOO_OLD;
use crate::config::QueueConfig;
use crate::{DeliverySettings, Metrics};

/// Time between attempts to read a file that cannot be read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The state of a queue, which its front and its sending task share.
#[derive(Debug)]
pub(crate) struct QueueState {
    exporter: Arc<str>,
    items: Mutex<Items>,
    /// Notifies the sending task of items to take, and of the end.
    work: Notify,
    /// The watermark to ack.
    acked: watch::Sender<Watermark>,
    /// Samples that were refused since the last call of `take_lost`.
    lost: AtomicU64,
    /// True from the first refusal until there is room again: a refusal is logged once for all of them, not once a
    /// window.
    is_full: AtomicBool,
    pub(crate) metrics: Metrics,
    pub(crate) gauges: QueueMetrics,
}

/// The next thing that the sending task has to do.
enum Next {
    /// Send this request.
    Request(Taken),
    /// Wait: there is nothing to send now.
    Nothing,
    /// End: the stream is over, and nothing is left.
    End,
}

impl QueueState {
    pub(crate) fn new(settings: &DeliverySettings, config: &QueueConfig) -> Self {
        let items = Items::new(config);
        let gauges = QueueMetrics::new(settings, config, items.capacity());
        Self {
            exporter: settings.id.clone(),
            items: Mutex::new(items),
            work: Notify::new(),
            acked: watch::Sender::new(Watermark::NONE),
            lost: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            metrics: Metrics::of(settings),
            gauges,
        }
    }

    pub(crate) fn exporter(&self) -> &str {
        &self.exporter
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        interleave::point();
        // Nothing in there panics halfway through.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the items by `act`, then sets the gauges and notifies whoever waits for the acked watermark.
    fn update<T>(&self, act: impl FnOnce(&mut Items) -> T) -> T {
        let (result, acked, used) = {
            let mut items = self.items();
            let result = act(&mut items);
            (result, items.acked(), items.used())
        };
        self.gauges.size(used);
        self.acked.send_if_modified(|known| {
            let is_news = *known < acked;
            *known = acked.max(*known);
            is_news
        });
        result
    }

    /// Takes a window's requests, whose watermark is `acked`; counts those that do not fit.
    pub(crate) fn offer(&self, requests: Vec<ProfilesRequest>, acked: Watermark) {
        let refused = self.update(|items| items.offer(requests, acked));
        self.work.notify_one();
        self.note_full(&refused);
    }

    fn note_full(&self, refused: &[(ProfilesRequest, Refused)]) {
        let samples: u64 = refused.iter().map(|(request, _)| request.samples).sum();
        let Some((_, why)) = refused.first() else { return };
        self.gauges.enqueue_failed(samples);
        self.lost.fetch_add(samples, Ordering::Relaxed);
        // A request that is too large belongs to no episode: each is logged.
        let is_first = !self.is_full.swap(*why == Refused::Full, Ordering::Relaxed);
        if is_first || *why == Refused::TooLarge {
            error!(
                exporter = %self.exporter, error = why.as_str(), rejected_items = samples,
                "Exporting failed. Rejecting data."
            );
        }
    }

    /// Samples that did not fit since the last call.
    pub(crate) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// The next request to send, once there is one; `None` at the end, once none is left to try.
    pub(crate) async fn next(&self) -> Option<Taken> {
        loop {
            match self.take() {
                Next::Request(next) => return Some(next),
                Next::End => return None,
                Next::Nothing => self.work.notified().await,
            }
        }
    }

    /// The next request to send, if there is one now.
    pub(crate) fn try_next(&self) -> Option<Taken> {
        match self.take() {
            Next::Request(next) => Some(next),
            Next::Nothing | Next::End => None,
        }
    }

    /// The next thing to do. Requests that are too old are dropped.
    fn take(&self) -> Next {
        loop {
            let next = {
                // Under one lock: the last window comes together with the end.
                let mut items = self.items();
                match items.take() {
                    Some(next) => next,
                    None if items.has_ended => return Next::End,
                    None => return Next::Nothing,
                }
            };
            if !next.is_expired() {
                return Next::Request(next);
            }
            self.expire(&next);
        }
    }

    /// Drops a request that is too old, and counts it.
    fn expire(&self, taken: &Taken) {
        self.metrics.send_failed(taken.samples, &TOO_OLD);
        error!(
            exporter = %self.exporter, error = TOO_OLD, dropped_items = taken.samples,
            "Exporting failed. Dropping data."
        );
        self.finish(taken.key);
    }

    /// Returns the request that was taken. `None` if the request has to stay on disk, or is lost or has become too old,
    /// which is then counted.
    pub(crate) async fn load(&self, taken: &Taken) -> Option<ProfilesRequest> {
        let handle = match &taken.from {
            RequestSource::Memory(request) => return Some(request.clone()),
            RequestSource::Disk(handle) => *handle,
        };
        loop {
            let reading = self.items().disk.as_ref().map(|disk| disk.read(handle))?;
            match reading.await {
                Ok(Some(bytes)) => return Some(ProfilesRequest { bytes, samples: taken.samples }),
                Ok(None) => {
                    self.metrics.send_failed(taken.samples, &"lost on disk");
                    self.finish(taken.key);
                    return None;
                }
                Err(_unavailable) if self.has_ended() => return None,
                Err(_unavailable) if taken.is_expired() => {
                    self.expire(taken);
                    return None;
                }
                Err(_unavailable) => sleep(READ_AGAIN_AFTER).await,
            }
        }
    }

    /// Waits until there may be something to take.
    pub(crate) async fn news(&self) {
        self.work.notified().await;
    }

    /// True once the stream is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.items().has_ended
    }

    /// True if requests are kept on disk.
    pub(crate) fn has_disk(&self) -> bool {
        self.items().disk.is_some()
    }

    /// Keeps the requests on disk from now on.
    pub(crate) fn attach(&self, disk: Disk) {
        self.items().disk = Some(disk);
    }

    /// Takes a report of the disk.
    pub(crate) fn take_report(&self, report: Report) {
        match report {
            Report::Recovered(stored) => self.recovered(&stored),
            Report::Appended(key, appended) => self.appended(key, appended),
        }
    }

    /// Puts the requests that an earlier run has left on disk first.
    fn recovered(&self, stored: &[Stored]) {
        self.update(|items| items.recover(stored));
        self.work.notify_one();
    }

    /// Takes the outcome of writing a request.
    fn appended(&self, key: u64, appended: Appended) {
        let queued = self.update(|items| items.appended(key, appended));
        // Requests that waited outside may have come in.
        self.work.notify_one();
        if let Some(request) = queued
            && enabled!(Level::DEBUG)
        {
            let start = start(&request);
            debug!(exporter = %self.exporter, samples = request.samples, start, "Queued on disk.");
        }
    }

    /// Ends the queue: waits for the disk, and drops the requests that have not been written.
    pub(crate) async fn end(&self) {
        let flushed = self.items().disk.as_ref().map(Disk::flush);
        if let Some(flushed) = flushed {
            flushed.await;
        }
        let samples = self.update(Items::give_up);
        if samples > 0 {
            self.metrics.send_failed(samples, &"the agent stops");
            error!(
                exporter = %self.exporter, error = "the agent stops", dropped_items = samples,
                "Exporting failed. Dropping data."
            );
        }
        let disk = self.items().disk.take();
        if let Some(disk) = disk {
            disk.close().await;
        }
    }

    /// Marks a request as over.
    pub(crate) fn finish(&self, key: u64) {
        let has_room = self.update(|items| {
            items.finish(key);
            items.used() <= items.capacity() / 2
        });
        // Requests that waited outside may have come in.
        self.work.notify_one();
        if has_room && self.is_full.swap(false, Ordering::Relaxed) {
            info!(exporter = %self.exporter, "Sending queue has room again.");
        }
    }

    /// Returns ready when no request waits for room.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut items = self.items();
        if items.has_room() {
            return Poll::Ready(());
        }
        items.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The watermark to ack.
    pub(crate) fn acked(&self) -> Watermark {
        *self.acked.borrow()
    }

    /// A receiver that follows the watermark to ack.
    pub(crate) fn follow(&self) -> watch::Receiver<Watermark> {
        self.acked.subscribe()
    }
}

/// Start of the request's first profile, nanoseconds since 1970: it distinguishes the request from others in a log.
fn start(request: &ProfilesRequest) -> u64 {
    let message = request.message().unwrap_or_default();
    let scopes = message.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
    scopes.flat_map(|scope| &scope.profiles).map(|profile| profile.time_unix_nano).next().unwrap_or(0)
}
