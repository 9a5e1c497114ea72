//! What the queue holds, and what fits.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use otlp_profiles::Request;
use pdata::Watermark;

use super::ledger::{Ledger, Place};
use crate::config::{QueueConfig, Sizer};

/// A request in the queue, waiting or being sent.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) request: Request,
    /// Given up once the request is over.
    place: Option<Place>,
}

/// The requests of the queue and the answers that wait for them. Time and tasks are others' business.
#[derive(Debug)]
pub(crate) struct Items {
    sizer: Sizer,
    capacity: u64,
    /// Waits for room instead of dropping.
    blocks: bool,
    /// False if all requests of a window have to be over before the next.
    is_queue: bool,
    items: HashMap<u64, Item>,
    /// Those that are not being sent, in order.
    waiting: VecDeque<u64>,
    next_key: u64,
    /// Sum of the items' sizes.
    used: u64,
    /// In order, what is to come in when there is room.
    outside: VecDeque<(Request, Place)>,
    ledger: Ledger,
    /// Wakes who waits until nothing is outside.
    pub(crate) waker: Option<Waker>,
    /// The stream is over.
    pub(crate) has_ended: bool,
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no room now.
    Full,
    /// There never will be.
    TooLarge,
}

impl Refused {
    /// In the Collector's words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "sending queue is full",
            Self::TooLarge => "element size too large",
        }
    }
}

impl Items {
    pub(crate) fn new(config: &QueueConfig) -> Self {
        // Without a queue there is room for one request at a time, and the next window waits.
        let (sizer, capacity) =
            if config.enabled { (config.sizer, config.queue_size) } else { (Sizer::Requests, 1) };
        Self {
            sizer,
            capacity,
            blocks: config.block_on_overflow || !config.enabled,
            is_queue: config.enabled,
            items: HashMap::new(),
            waiting: VecDeque::new(),
            next_key: 0,
            used: 0,
            outside: VecDeque::new(),
            ledger: Ledger::default(),
            waker: None,
            has_ended: false,
        }
    }

    /// Takes the requests of a window, whose answer is `done`. Gives those that were refused.
    pub(crate) fn offer(&mut self, requests: Vec<Request>, done: Watermark) -> Vec<(Request, Refused)> {
        let places = self.ledger.open(requests.len(), done);
        let mut refused = Vec::new();
        for (request, place) in requests.into_iter().zip(places) {
            match self.fits(&request) {
                Ok(()) if self.outside.is_empty() => self.admit(request, Some(place)),
                // The last window is waited for anyway, and never again offered.
                Ok(()) | Err(Refused::Full) if self.blocks || self.has_ended => {
                    self.outside.push_back((request, place));
                }
                fits => {
                    self.ledger.close(place);
                    refused.push((request, fits.err().unwrap_or(Refused::Full)));
                }
            }
        }
        refused
    }

    fn fits(&self, request: &Request) -> Result<(), Refused> {
        let size = self.size(request);
        if size > self.capacity {
            return Err(Refused::TooLarge);
        }
        if self.used.saturating_add(size) > self.capacity { Err(Refused::Full) } else { Ok(()) }
    }

    fn admit(&mut self, request: Request, place: Option<Place>) {
        self.used = self.used.saturating_add(self.size(&request));
        let key = self.next_key;
        self.next_key += 1;
        self.items.insert(key, Item { request, place });
        self.waiting.push_back(key);
    }

    /// The next request to send. It keeps its room until it is [over](Self::finish).
    pub(crate) fn take(&mut self) -> Option<(u64, Request)> {
        let key = self.waiting.pop_front()?;
        Some((key, self.items.get(&key)?.request.clone()))
    }

    /// A request is over: sent or given up on.
    pub(crate) fn finish(&mut self, key: u64) {
        let Some(item) = self.items.remove(&key) else { return };
        self.used = self.used.saturating_sub(self.size(&item.request));
        if let Some(place) = item.place {
            self.ledger.close(place);
        }
        while self.outside.front().is_some_and(|(request, _)| self.fits(request).is_ok()) {
            let Some((request, place)) = self.outside.pop_front() else { break };
            self.admit(request, Some(place));
        }
        if self.has_room()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// False while the next window has to wait.
    pub(crate) fn has_room(&self) -> bool {
        self.outside.is_empty() && (self.is_queue || self.items.is_empty())
    }

    /// The answer that is due.
    pub(crate) fn done(&self) -> Watermark {
        self.ledger.done()
    }

    /// What is taken up, in units of the sizer.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// What can be taken up at most.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// True if nothing is in the queue and nothing outside of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.outside.is_empty()
    }

    fn size(&self, request: &Request) -> u64 {
        match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => request.samples,
            Sizer::Bytes => request.bytes.len() as u64,
        }
    }
}
