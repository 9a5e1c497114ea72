//! Where batches become requests.

use std::task::{Context, Poll};

use otlp_profiles::Windows;
use pdata::{Batch, Event, Loss, LossReason, Watermark};
use tower::Service;

use crate::{Answer, Queue, Stopped};

/// Gathers batches into windows, for a queue of requests.
#[derive(Debug)]
pub struct Front {
    windows: Windows,
    queue: Queue,
    /// Watermark of the last batch.
    seen: Watermark,
}

impl Front {
    /// Puts `windows` before `queue`.
    #[must_use]
    pub fn new(windows: Windows, queue: Queue) -> Self {
        Self { windows, queue, seen: Watermark::NONE }
    }

    /// Tells what the queue had no room for in the window that is open.
    fn tell_lost(&self, batch: &mut Batch) {
        let count = self.queue.take_lost();
        if count > 0 {
            // Not before the last batch's watermark, and not after this one's events.
            let at = self.seen.at();
            let lost = Loss { from: at, until: at, reason: LossReason::SampleQueueFull, count };
            batch.events_mut().insert(0, Event::Loss(lost));
        }
    }
}

impl Service<Batch> for Front {
    type Response = Watermark;
    type Error = Stopped;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        self.queue.poll_ready(cx)
    }

    fn call(&mut self, mut batch: Batch) -> Answer {
        self.tell_lost(&mut batch);
        self.seen = batch.watermark;
        self.queue.call(self.windows.push(&batch))
    }
}
