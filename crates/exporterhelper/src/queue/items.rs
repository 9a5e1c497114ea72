//! The requests that the queue holds, and the room for more.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use extension_file_storage::{Appended, Handle, Stored};
use otlp_profiles::ProfilesRequest;
use pdata::Watermark;
use tokio::time::Instant;

use super::disk::Disk;
use super::ledger::{Ledger, LedgerTicket};
use crate::config::{QueueConfig, Sizer};

/// The most bytes held in memory because they cannot be written to disk.
const MAX_UNWRITTEN: u64 = 64 << 20;

/// A request in the queue, waiting or being sent.
#[derive(Debug)]
struct Item {
    weight: Weight,
    /// The request; `None` if it has to be read from disk.
    request: Option<ProfilesRequest>,
    /// True if the request is on disk for good.
    is_on_disk: bool,
    /// True if the request came with the end of the stream, and is tried once even if it is on disk.
    is_last: bool,
    /// The request's place on disk, now or once it is written.
    handle: Option<Handle>,
    /// Ticket of the window's watermark, which is acked once its requests are sent, on disk or dropped. `None` once
    /// handed back.
    ticket: Option<LedgerTicket>,
    /// Time from which on the request is too old.
    expires: Option<Instant>,
}

/// The size of a request, in every unit.
#[derive(Clone, Copy, Debug)]
struct Weight {
    samples: u64,
    bytes: u64,
}

/// A request that is about to be sent.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The request's number in the queue.
    pub(crate) key: u64,
    /// Samples in the request.
    pub(crate) samples: u64,
    /// Bytes of the request.
    pub(crate) bytes: u64,
    /// The request, unless it has to be read first.
    pub(crate) from: RequestSource,
    /// Time from which on the request is too old to be sent; `None` for never.
    pub(crate) expires: Option<Instant>,
}

impl Taken {
    /// True if the request is too old to be sent.
    pub(crate) fn is_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= Instant::now())
    }
}

/// The place that holds a request until it is sent.
#[derive(Debug)]
pub(crate) enum RequestSource {
    /// The request, in memory.
    Memory(ProfilesRequest),
    /// The place of the request on disk.
    Disk(Handle),
}

/// The reason why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no room for the request now.
    Full,
    /// There will never be room for the request.
    TooLarge,
}

impl Refused {
    /// The reason in the Collector's words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "sending queue is full",
            Self::TooLarge => "element size too large",
        }
    }
}

/// The requests of the queue and the watermarks that wait for them. Its callers run the tasks.
#[derive(Debug)]
pub(crate) struct Items {
    sizer: Sizer,
    capacity: u64,
    /// Most bytes on disk.
    max_bytes: u64,
    /// True if requests wait for room instead of being dropped.
    blocks: bool,
    /// False if all requests of a window have to be over before the next window comes.
    is_queue: bool,
    /// The file that keeps the queue's requests through a crash.
    pub(crate) disk: Option<Disk>,
    items: HashMap<u64, Item>,
    /// Numbers of the requests that are not being sent, in order.
    waiting: VecDeque<u64>,
    next_key: u64,
    /// Sum of the items' sizes.
    used: u64,
    /// Sum of the items' bytes.
    bytes: u64,
    /// Sum of the bytes of the items that are not on disk.
    unwritten: u64,
    /// Requests that wait for room in the queue, in order.
    outside: VecDeque<(ProfilesRequest, LedgerTicket)>,
    ledger: Ledger,
    /// Wakes the task that waits until there is room.
    pub(crate) waker: Option<Waker>,
    /// True once the stream is over.
    pub(crate) has_ended: bool,
}

impl Items {
    pub(crate) fn new(config: &QueueConfig) -> Self {
        // Without a queue there is room for one request at a time, and the next window waits.
        let (sizer, capacity) =
            if config.enabled { (config.sizer, config.queue_size) } else { (Sizer::Requests, 1) };
        let max_bytes = config.max_bytes.bytes();
        Self {
            sizer,
            capacity,
            max_bytes: if max_bytes == 0 { u64::MAX } else { max_bytes },
            blocks: config.block_on_overflow || !config.enabled,
            is_queue: config.enabled,
            disk: None,
            items: HashMap::new(),
            waiting: VecDeque::new(),
            next_key: 0,
            used: 0,
            bytes: 0,
            unwritten: 0,
            outside: VecDeque::new(),
            ledger: Ledger::default(),
            waker: None,
            has_ended: false,
        }
    }

    /// Takes the requests of a window, whose watermark is `acked`. Returns the requests that were refused.
    pub(crate) fn offer(
        &mut self,
        requests: Vec<ProfilesRequest>,
        acked: Watermark,
    ) -> Vec<(ProfilesRequest, Refused)> {
        let tickets = self.ledger.open(requests.len(), acked);
        self.has_ended |= acked == Watermark::END;
        let mut refused = Vec::new();
        // The requests of a window become too old together.
        let expires = self.expires();
        for (request, ticket) in requests.into_iter().zip(tickets) {
            match self.fits(&request) {
                Ok(()) if self.outside.is_empty() => self.admit(request, Some(ticket), expires),
                Ok(()) | Err(Refused::Full) if self.blocks || self.has_ended => {
                    self.outside.push_back((request, ticket));
                }
                fits => {
                    self.ledger.close(ticket);
                    refused.push((request, fits.err().unwrap_or(Refused::Full)));
                }
            }
        }
        self.let_in();
        refused
    }

    /// Takes the requests that an earlier run has left: they come first.
    pub(crate) fn recover(&mut self, stored: &[Stored]) {
        for &Stored { handle, samples, bytes, age } in stored.iter().rev() {
            let weight = Weight { samples, bytes };
            let expires = self.disk.as_ref().and_then(|disk| disk.expires(age));
            let (request, handle, ticket) = (None, Some(handle), None);
            let item = Item { weight, request, is_on_disk: true, is_last: false, handle, ticket, expires };
            let key = self.insert(item);
            self.waiting.push_front(key);
        }
    }

    fn fits(&self, request: &ProfilesRequest) -> Result<(), Refused> {
        let weight = Weight::of(request);
        let size = self.size(weight);
        let is_too_large = size > self.capacity || self.disk.is_some() && weight.bytes > self.max_bytes;
        let is_disk_full = self.disk.is_some()
            && (self.bytes.saturating_add(weight.bytes) > self.max_bytes
                || self.unwritten > 0 && self.unwritten.saturating_add(weight.bytes) > MAX_UNWRITTEN);
        match () {
            () if is_too_large => Err(Refused::TooLarge),
            () if is_disk_full || self.used.saturating_add(size) > self.capacity => Err(Refused::Full),
            () => Ok(()),
        }
    }

    fn admit(&mut self, request: ProfilesRequest, ticket: Option<LedgerTicket>, expires: Option<Instant>) {
        let key = self.next_key;
        let weight = Weight::of(&request);
        let handle = self.disk.as_ref().map(|disk| disk.append(key, &request));
        self.unwritten = self.unwritten.saturating_add(weight.bytes);
        let (request, is_last) = (Some(request), self.has_ended);
        let key = self.insert(Item { weight, request, is_on_disk: false, is_last, handle, ticket, expires });
        self.waiting.push_back(key);
    }

    fn insert(&mut self, item: Item) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.used = self.used.saturating_add(self.size(item.weight));
        self.bytes = self.bytes.saturating_add(item.weight.bytes);
        self.items.insert(key, item);
        key
    }

    /// Lets in as many of the requests outside as fit; at the end of the stream, all of them.
    /// Time from which on what is queued now is too old.
    fn expires(&self) -> Option<Instant> {
        self.disk.as_ref().and_then(|disk| disk.expires(std::time::Duration::ZERO))
    }

    fn let_in(&mut self) {
        let expires = self.expires();
        while self.outside.front().is_some_and(|(request, _)| self.has_ended || self.fits(request).is_ok()) {
            let Some((request, ticket)) = self.outside.pop_front() else { break };
            self.admit(request, Some(ticket), expires);
        }
    }

    /// The next request to send. It keeps its room until it is [over](Self::finish). At the end of the stream the
    /// requests on disk stay there, but for the last window.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        loop {
            let key = self.waiting.pop_front()?;
            let Some(item) = self.items.get(&key) else { continue };
            if self.has_ended && item.is_on_disk && !item.is_last {
                continue;
            }
            let from = match (&item.request, item.handle) {
                (Some(request), _) => RequestSource::Memory(request.clone()),
                (None, Some(handle)) => RequestSource::Disk(handle),
                // An item has a request or a handle.
                (None, None) => continue,
            };
            let Weight { samples, bytes } = item.weight;
            return Some(Taken { key, samples, bytes, from, expires: item.expires });
        }
    }

    /// Takes the outcome of writing a request. Returns the request if it is on disk from now on.
    pub(crate) fn appended(&mut self, key: u64, appended: Appended) -> Option<ProfilesRequest> {
        let item = self.items.get_mut(&key)?;
        match appended {
            Appended::Durably => {
                if let Some(ticket) = item.ticket.take() {
                    self.ledger.close(ticket);
                }
                item.is_on_disk = true;
                self.unwritten = self.unwritten.saturating_sub(item.weight.bytes);
                let request = if item.is_last { item.request.clone() } else { item.request.take() };
                self.make_room();
                request
            }
            Appended::Not => {
                item.handle = None;
                None
            }
        }
    }

    /// Removes a request that has been sent or dropped.
    pub(crate) fn finish(&mut self, key: u64) {
        let Some(item) = self.items.remove(&key) else { return };
        self.used = self.used.saturating_sub(self.size(item.weight));
        self.bytes = self.bytes.saturating_sub(item.weight.bytes);
        if !item.is_on_disk {
            self.unwritten = self.unwritten.saturating_sub(item.weight.bytes);
        }
        if let Some(ticket) = item.ticket {
            self.ledger.close(ticket);
        }
        if let (Some(disk), Some(handle)) = (&self.disk, item.handle) {
            disk.remove(handle);
        }
        self.make_room();
    }

    /// Lets in the requests that fit now, and wakes the task that waits if none is left outside.
    fn make_room(&mut self) {
        self.let_in();
        if self.has_room()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// Drops all requests that are not on disk. Returns the number of their samples.
    pub(crate) fn give_up(&mut self) -> u64 {
        let left = self.items.iter().filter(|(_, item)| !item.is_on_disk);
        let left: Vec<_> = left.map(|(key, item)| (*key, item.weight.samples)).collect();
        left.iter().for_each(|(key, _)| self.finish(*key));
        left.iter().map(|(_, samples)| samples).sum()
    }

    /// False while the next window has to wait.
    pub(crate) fn has_room(&self) -> bool {
        self.outside.is_empty() && (self.is_queue || self.items.is_empty())
    }

    /// The watermark to ack.
    pub(crate) fn acked(&self) -> Watermark {
        self.ledger.acked()
    }

    /// Room that requests take up, in units of the sizer.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Room of the whole queue, in units of the sizer.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    fn size(&self, Weight { samples, bytes }: Weight) -> u64 {
        match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => samples,
            Sizer::Bytes => bytes,
        }
    }
}

impl Weight {
    fn of(request: &ProfilesRequest) -> Self {
        Self { samples: request.samples, bytes: request.bytes.len() as u64 }
    }
}
