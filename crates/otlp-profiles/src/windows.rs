//! Windows of event time that turn batches into export requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ::windows::{Closed, EventWindows, Grouping, Losses};
use pdata::{Batch, Watermark};

use crate::request::ProfilesRequest;
use crate::split::Splitter;
use crate::window::Window;

/// Number of emptied windows that are kept for their memory. One is gathered while another is encoded.
const SPARE: usize = 2;

/// Gathers batches into windows of event time and yields the requests to send for each.
#[derive(Debug)]
pub struct Windows {
    events: EventWindows<Window>,
    max_request_bytes: usize,
    grouping: Grouping,
    /// Losses of windows in which no sample arrived, reported with the next one's.
    carried: Losses,
    /// Windows that were encoded and emptied, kept for their memory. They take turns, so that each frees the memory
    /// that a rush has left it with.
    spare: VecDeque<Window>,
    splitter: Splitter,
}

/// The windows that a batch completed, as requests.
#[derive(Debug)]
pub struct Finished {
    /// Requests to send, in order; none if no window has closed.
    pub requests: Vec<ProfilesRequest>,
    /// The watermark to ack once the requests have been sent or dropped.
    pub acked: Watermark,
}

impl Windows {
    /// Windows of this length, encoded in requests of at most `max_request_bytes` before compression.
    #[must_use]
    pub fn new(length: Duration, max_request_bytes: usize) -> Self {
        Self {
            events: EventWindows::new(length),
            max_request_bytes,
            grouping: Grouping::default(),
            carried: Losses::default(),
            spare: VecDeque::new(),
            splitter: Splitter::default(),
        }
    }

    /// Has images leave in groups by `grouping`. Samples, times and losses stay the same; threads of a group have no
    /// numbers, unless the group is of one process.
    #[must_use]
    pub fn rolled_up(self, grouping: Grouping) -> Self {
        let events = self.events.taking_processes(grouping.needs_lives());
        Self { events, grouping, ..self }
    }

    /// Takes a batch. See [`EventWindows`] for when a window closes and up to which watermark it acks.
    ///
    /// A window in which samples were lost and none arrived yields no request, since a profile needs a
    /// sample; its losses are reported by the next window that has one, or by nobody if there is none.
    pub fn push(&mut self, batch: &Batch) -> Finished {
        let Self { events, spare, grouping, .. } = self;
        let start = || {
            let window = spare.pop_front().unwrap_or_default();
            window.start(batch.clock, Arc::clone(&batch.resource), grouping.clone())
        };
        let (closed, acked) = events.push(batch, start);
        let requests = closed.into_iter().flat_map(|window| self.requests(window)).collect();
        Finished { requests, acked }
    }

    fn requests(&mut self, closed: Closed<Window>) -> Vec<ProfilesRequest> {
        let Closed { from, until, gathered: mut window } = closed;
        let requests = if window.is_empty() {
            self.carried.merge(window.losses());
            Vec::new()
        } else {
            window.losses().merge(&std::mem::take(&mut self.carried));
            self.splitter.requests(window.finish(from, until), self.max_request_bytes)
        };
        if self.spare.len() < SPARE {
            window.clear();
            self.spare.push_back(window);
        }
        requests
    }
}
