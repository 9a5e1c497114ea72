//! The requests to the thread that writes.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::record::Record;
use crate::stored::{Handle, Unavailable};

/// Called with true once a request is durable, with false if it will not be.
pub(crate) type Then = Box<dyn FnOnce(bool) + Send>;
/// The request, `None` if it is lost.
pub(crate) type ReadResult = Result<Option<Record>, Unavailable>;

/// Between the exporter and its thread. Never blocks the one who asks; what it holds, the exporter's queue bounds.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    asked: Mutex<Asked>,
    news: Condvar,
}

/// The work that has been asked for and not been done.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) appends: Vec<Append>,
    pub(crate) removes: Vec<Handle>,
    pub(crate) reads: Vec<(Handle, oneshot::Sender<ReadResult>)>,
    /// Each is answered once all that was asked for before it is done.
    pub(crate) flushes: Vec<oneshot::Sender<()>>,
    /// Nobody will ask any more.
    pub(crate) is_closed: bool,
    /// When the first of what is to be written was asked for.
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

    /// Asks for something.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Asked) -> T) -> T {
        let result = ask(&mut self.asked());
        self.news.notify_one();
        result
    }

    /// Waits until there is something to do, and takes it: a read at once, a write when it has waited for others for
    /// as long as `interval`, or somebody waits for it.
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
    /// A handle that was not given before.
    pub(crate) fn handle(&mut self) -> Handle {
        self.next_handle += 1;
        Handle(self.next_handle)
    }

    /// Notes that there is something to write.
    pub(crate) fn touch(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// How long writing may wait; `None` if there is nothing to write.
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
