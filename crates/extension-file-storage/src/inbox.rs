//! The requests to the thread that writes.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::record::Record;
use crate::stored::{Handle, Unavailable};

/// Function that is called with true once a request is durable, with false if it will not be.
pub(crate) type Then = Box<dyn FnOnce(bool) + Send>;
/// The request that was read, `None` if it is lost.
pub(crate) type ReadResult = Result<Option<Record>, Unavailable>;

/// The work between the exporter and its thread. Asking never blocks; the exporter's queue bounds the requests that
/// wait.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    asked: Mutex<Asked>,
    news: Condvar,
}

/// Work that has been asked for and not been done.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) appends: Vec<Append>,
    pub(crate) removes: Vec<Handle>,
    pub(crate) reads: Vec<(Handle, oneshot::Sender<ReadResult>)>,
    /// Senders that are notified once all work that was asked for before them is done.
    pub(crate) flushes: Vec<oneshot::Sender<()>>,
    /// True once nobody will ask any more.
    pub(crate) is_closed: bool,
    /// Time when the first of the waiting writes was asked for.
    since: Option<Instant>,
    next_handle: u64,
}

/// A request to be written.
pub(crate) struct Append {
    pub(crate) handle: Handle,
    pub(crate) record: Record,
    pub(crate) then: Then,
}

impl Inbox {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work by `ask`, and notifies the thread.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Asked) -> T) -> T {
        let result = ask(&mut self.asked());
        self.news.notify_one();
        result
    }

    /// Waits until there is work to do, and takes it: a read at once, a write when it has waited for others for as long
    /// as `interval`, or somebody waits for it.
    pub(crate) fn take(&self, interval: Duration) -> Asked {
        let mut asked = self.asked();
        loop {
            let wait = asked.wait(interval);
            if wait == Some(Duration::ZERO) {
                let (next_handle, is_closed) = (asked.next_handle, asked.is_closed);
                return std::mem::replace(&mut *asked, Asked { next_handle, is_closed, ..Asked::default() });
            }
            if !asked.reads.is_empty() {
                let reads = std::mem::take(&mut asked.reads);
                return Asked { reads, ..Asked::default() };
            }
            asked = match wait {
                Some(wait) => {
                    let woken = self.news.wait_timeout(asked, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.news.wait(asked).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Asked {
    /// A handle that is new.
    pub(crate) fn handle(&mut self) -> Handle {
        self.next_handle += 1;
        Handle(self.next_handle)
    }

    /// Notes the time since which there is work to write.
    pub(crate) fn touch(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Time for which writing may still wait; `None` if there is nothing to write.
    fn wait(&self, interval: Duration) -> Option<Duration> {
        if self.is_closed || !self.flushes.is_empty() {
            return Some(Duration::ZERO);
        }
        self.since.map(|since| interval.saturating_sub(since.elapsed()))
    }
}

impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append").field("handle", &self.handle).finish_non_exhaustive()
    }
}
