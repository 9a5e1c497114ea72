//! What the queue holds, and what fits.

use std::collections::{HashMap, VecDeque};
use std::task::Waker;

use extension_file_storage::{Appended, Handle, Stored};
use otlp_profiles::ProfilesRequest;
use pdata::Watermark;
use tokio::time::Instant;

use super::disk::Disk;
use super::ledger::{Ledger, LedgerTicket};
use crate::config::{QueueConfig, Sizer};

/// Most that is held in memory because it cannot be written to disk.
const MAX_UNWRITTEN: u64 = 64 << 20;

/// A request in the queue, waiting or being sent.
#[derive(Debug)]
struct Item {
    weight: Weight,
    /// `None` if it has to be read from disk.
    request: Option<ProfilesRequest>,
    /// It is on disk for good.
    is_on_disk: bool,
    /// It came with the end of the stream, and is tried once even if it is on disk.
    is_last: bool,
    /// Where it is on disk, or will be.
    handle: Option<Handle>,
    /// Given up once the request is sent, on disk or given up on: somebody's answer waits for it.
    ticket: Option<LedgerTicket>,
    /// When it is too old.
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
    /// Its name in the queue.
    pub(crate) key: u64,
    /// Samples in it.
    pub(crate) samples: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// The request, unless it has to be read first.
    pub(crate) from: RequestSource,
    /// It is too old to be sent.
    pub(crate) is_expired: bool,
}

/// The place that holds a request until it is sent.
#[derive(Debug)]
pub(crate) enum RequestSource {
    /// In memory.
    Memory(ProfilesRequest),
    /// On disk.
    Disk(Handle),
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

/// The requests of the queue and the answers that wait for them. Tasks are others' business.
#[derive(Debug)]
pub(crate) struct Items {
    sizer: Sizer,
    capacity: u64,
    /// Most bytes on disk.
    max_bytes: u64,
    /// Waits for room instead of dropping.
    blocks: bool,
    /// False if all requests of a window have to be over before the next.
    is_queue: bool,
    /// Keeps what is in the queue through a crash.
    pub(crate) disk: Option<Disk>,
    items: HashMap<u64, Item>,
    /// Those that are not being sent, in order.
    waiting: VecDeque<u64>,
    next_key: u64,
    /// Sum of the items' sizes.
    used: u64,
    /// Sum of the items' bytes.
    bytes: u64,
    /// Sum of the bytes of those that are not on disk.
    unwritten: u64,
    /// In order, what is to come in when there is room.
    outside: VecDeque<(ProfilesRequest, LedgerTicket)>,
    ledger: Ledger,
    /// Wakes who waits until there is room.
    pub(crate) waker: Option<Waker>,
    /// The stream is over.
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

    /// Takes the requests of a window, whose answer is `acked`. Gives those that were refused.
    pub(crate) fn offer(
        &mut self,
        requests: Vec<ProfilesRequest>,
        acked: Watermark,
    ) -> Vec<(ProfilesRequest, Refused)> {
        let tickets = self.ledger.open(requests.len(), acked);
        self.has_ended |= acked == Watermark::END;
        let mut refused = Vec::new();
        for (request, ticket) in requests.into_iter().zip(tickets) {
            match self.fits(&request) {
                Ok(()) if self.outside.is_empty() => self.admit(request, Some(ticket)),
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

    /// Takes what an earlier run has left: it comes first.
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

    fn admit(&mut self, request: ProfilesRequest, ticket: Option<LedgerTicket>) {
        let key = self.next_key;
        let weight = Weight::of(&request);
        let handle = self.disk.as_ref().map(|disk| disk.append(key, &request));
        let expires = self.disk.as_ref().and_then(|disk| disk.expires(std::time::Duration::ZERO));
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

    /// Lets in what fits of what is outside; at the end of the stream, all of it.
    fn let_in(&mut self) {
        while self.outside.front().is_some_and(|(request, _)| self.has_ended || self.fits(request).is_ok()) {
            let Some((request, ticket)) = self.outside.pop_front() else { break };
            self.admit(request, Some(ticket));
        }
    }

    /// The next request to send. It keeps its room until it is [over](Self::finish). At the end of the stream what is
    /// on disk stays there, but for the last window.
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
                // It is one or the other.
                (None, None) => continue,
            };
            let Weight { samples, bytes } = item.weight;
            let is_expired = item.expires.is_some_and(|expires| expires <= Instant::now());
            return Some(Taken { key, samples, bytes, from, is_expired });
        }
    }

    /// The disk's word on a request. Gives it if it is there from now on.
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

    /// A request is over: sent or given up on.
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

    /// Lets in what fits now, and wakes who waits if that was all.
    fn make_room(&mut self) {
        self.let_in();
        if self.has_room()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// Gives up on all that is not on disk. Returns how many samples that were.
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

    /// The answer that is due.
    pub(crate) fn acked(&self) -> Watermark {
        self.ledger.acked()
    }

    /// The room that is taken up, in units of the sizer.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// The room there is.
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
