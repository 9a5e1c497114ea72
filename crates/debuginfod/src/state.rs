//! The build IDs that have been asked about, and the answers: shared by those who ask and the thread that fetches.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};
use pdata::Uid;
use tokio::sync::Notify;

use crate::build_id::GnuBuildId;
use crate::metrics;
use crate::queue::Queue;

/// The most build IDs that are remembered because their files are not to be had; one more and all are forgotten.
const MOST_ABSENT: usize = 16_384;
/// Time after which a build ID that found no place in the queue may be asked about again.
const FULL_RETRY: Duration = Duration::from_secs(10);

/// The state of all build IDs whose files are not there.
#[derive(Debug, Default)]
pub(crate) struct State {
    inner: Mutex<Inner>,
    /// Notified when a build ID waits.
    pub(crate) waits: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queue: Queue,
    /// Build IDs that wait, and the one that is being fetched.
    pending: HashSet<GnuBuildId>,
    /// Build IDs whose files are not to be had, and the times until which that is believed.
    absent: HashMap<GnuBuildId, Instant>,
}

impl State {
    /// True if a file is waited for; false if it is not to be had for now; `None` if nobody has asked for it lately.
    pub(crate) fn is_pending(&self, id: &GnuBuildId) -> Option<bool> {
        self.with(|inner| {
            if inner.pending.contains(id) {
                return Some(true);
            }
            inner.absent.get(id).is_some_and(|until| Instant::now() < *until).then_some(false)
        })
    }

    /// Has a file fetched for a user's program; false if too many wait.
    pub(crate) fn ask(&self, id: GnuBuildId, user: Option<Uid>) -> bool {
        let is_taken = self.with(|inner| {
            if !inner.pending.insert(id) {
                return true;
            }
            let is_taken = inner.queue.push(user, id);
            if !is_taken {
                inner.pending.remove(&id);
                inner.forget_until(id, FULL_RETRY);
                metrics::failed("queue_full");
            }
            is_taken
        });
        self.waits.notify_one();
        is_taken
    }

    /// The next build ID to ask servers about, which stays pending.
    pub(crate) fn next(&self) -> Option<GnuBuildId> {
        self.with(|inner| inner.queue.pop())
    }

    /// Notes that a build ID has been asked about; if its file is not there, with the time for which nobody is asked
    /// again.
    pub(crate) fn done(&self, id: GnuBuildId, absent_for: Option<Duration>) {
        self.with(|inner| {
            inner.pending.remove(&id);
            inner.absent.remove(&id);
            if let Some(time) = absent_for {
                inner.forget_until(id, time);
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn forget_until(&mut self, id: GnuBuildId, time: Duration) {
        let now = Instant::now();
        if self.absent.len() >= MOST_ABSENT {
            self.absent.retain(|_, until| now < *until);
        }
        if self.absent.len() >= MOST_ABSENT {
            self.absent.clear();
        }
        self.absent.insert(id, now + time);
    }
}
