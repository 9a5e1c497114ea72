//! What the queue's two ends share: the stage that takes windows, and the task that has them sent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use otlp_profiles::Request;
use pdata::Watermark;
use tokio::sync::{Notify, watch};
use tracing::{error, info};

use super::items::{Items, Refused};
use super::metrics::QueueMetrics;
use crate::config::QueueConfig;
use crate::{Metrics, Settings};

#[derive(Debug)]
pub(crate) struct Shared {
    exporter: Arc<str>,
    items: Mutex<Items>,
    /// Tells the sending task of items to take, and of the end.
    work: Notify,
    /// The answer that is due.
    done: watch::Sender<Watermark>,
    /// Samples refused since it was last asked.
    lost: AtomicU64,
    /// True from the first refusal until there is room again: one line says so, not one a window.
    is_full: AtomicBool,
    pub(crate) metrics: Metrics,
    pub(crate) gauges: QueueMetrics,
}

impl Shared {
    pub(crate) fn new(settings: &Settings, config: &QueueConfig) -> Self {
        let items = Items::new(config);
        let gauges = QueueMetrics::new(settings, config, items.capacity());
        Self {
            exporter: settings.id.clone(),
            items: Mutex::new(items),
            work: Notify::new(),
            done: watch::Sender::new(Watermark::NONE),
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
        // Nothing in there panics halfway through.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the items, and tells the gauges and whoever waits what has come of it.
    fn update<T>(&self, act: impl FnOnce(&mut Items) -> T) -> T {
        let (result, done, used) = {
            let mut items = self.items();
            let result = act(&mut items);
            (result, items.done(), items.used())
        };
        self.gauges.size(used);
        self.done.send_if_modified(|known| {
            let is_news = *known < done;
            *known = done.max(*known);
            is_news
        });
        result
    }

    /// Takes a window's requests, whose answer is `done`; counts those that do not fit.
    pub(crate) fn offer(&self, requests: Vec<Request>, done: Watermark) {
        let refused = self.update(|items| {
            items.has_ended |= done == Watermark::END;
            items.offer(requests, done)
        });
        self.work.notify_one();
        self.note_full(&refused);
    }

    fn note_full(&self, refused: &[(Request, Refused)]) {
        let samples: u64 = refused.iter().map(|(request, _)| request.samples).sum();
        let Some((_, why)) = refused.first() else { return };
        self.gauges.enqueue_failed(samples);
        self.lost.fetch_add(samples, Ordering::Relaxed);
        // What is too large is no episode: each is told.
        let is_first = !self.is_full.swap(*why == Refused::Full, Ordering::Relaxed);
        if is_first || *why == Refused::TooLarge {
            error!(
                exporter = %self.exporter, error = why.as_str(), rejected_items = samples,
                "Exporting failed. Rejecting data."
            );
        }
    }

    /// Samples that did not fit, since this was last asked.
    pub(crate) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// The next request to send, once there is one; `None` at the end, once nothing is left.
    pub(crate) async fn next(&self) -> Option<(u64, Request)> {
        loop {
            if let Some(next) = self.try_next() {
                return Some(next);
            }
            if self.has_ended() && self.is_drained() {
                return None;
            }
            self.work.notified().await;
        }
    }

    /// The next request to send, if there is one now.
    pub(crate) fn try_next(&self) -> Option<(u64, Request)> {
        self.items().take()
    }

    /// Waits until there may be something to take.
    pub(crate) async fn news(&self) {
        self.work.notified().await;
    }

    /// True once the stream is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.items().has_ended
    }

    fn is_drained(&self) -> bool {
        self.items().is_empty()
    }

    /// A request is over.
    pub(crate) fn finish(&self, key: u64) {
        let has_room = self.update(|items| {
            items.finish(key);
            items.used() <= items.capacity() / 2
        });
        // What waited outside may have come in.
        self.work.notify_one();
        if has_room && self.is_full.swap(false, Ordering::Relaxed) {
            info!(exporter = %self.exporter, "Sending queue has room again.");
        }
    }

    /// Ready when nothing waits for room.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut items = self.items();
        if items.has_room() {
            return Poll::Ready(());
        }
        items.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The answer that is due.
    pub(crate) fn done(&self) -> Watermark {
        *self.done.borrow()
    }

    /// Follows the answer that is due.
    pub(crate) fn follow(&self) -> watch::Receiver<Watermark> {
        self.done.subscribe()
    }
}
