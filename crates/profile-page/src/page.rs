//! The state of a running page.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use profile_store::{Progress, Store};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cache::{Cache, Key};
use crate::security::Token;

/// Most questions that are worked on at once: others wait their turn, so that pages never take more CPU than this.
const AT_ONCE: usize = 1;
/// Most answers for one client alone that are in memory at once: one that is being sent, and one that is made
/// meanwhile. Each stays in memory until the client has read it.
const BODIES_AT_ONCE: usize = 2;

/// A page over a store that may grow while it is shown.
pub struct Page {
    store: Arc<RwLock<Store>>,
    /// The store's progress, readable without waiting for the store's lock.
    pub(crate) progress: Progress,
    agent: Option<Agent>,
    cache: Mutex<Cache>,
    turns: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    pub(crate) token: Option<Token>,
    /// True if more samples will come.
    pub(crate) is_live: bool,
    /// Distinguishes answers of this page from those of an earlier page at the same address.
    pub(crate) born: u128,
}

/// A place for an answer in memory.
#[derive(Debug)]
pub(crate) struct BodyPlace(#[allow(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit);

impl BodyPlace {
    /// Binds an answer to the place, until the answer's last byte is with the kernel or its client is gone.
    pub(crate) fn with(self, body: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Placed { body, _place: self })
    }
}

struct Placed<T> {
    body: T,
    _place: BodyPlace,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Placed<T> {
    fn as_ref(&self) -> &[u8] {
        self.body.as_ref()
    }
}

type Agent = Box<dyn Fn() -> AgentView + Send + Sync>;

/// The agent's own CPU time and memory, and how far it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AgentView {
    /// Share of one CPU since the last measurement, in percent.
    pub cpu_percent: f64,
    /// Resident memory of the agent, in bytes.
    pub memory_bytes: u64,
    /// Milliseconds from the newest complete data until now; `None` before the first batch.
    pub lag_ms: Option<u64>,
}

impl Page {
    /// A page over a store that does not change.
    #[must_use]
    pub fn of(store: Store) -> Self {
        Self { is_live: false, ..Self::over(Arc::new(RwLock::new(store))) }
    }

    /// A page over a store that is still fed.
    #[must_use]
    pub fn over(store: Arc<RwLock<Store>>) -> Self {
        #[allow(clippy::disallowed_methods, reason = "a number that no page before had, not an instant")]
        let born = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let (cache, turns) = (Mutex::default(), Arc::new(Semaphore::new(AT_ONCE)));
        let bodies = Arc::new(Semaphore::new(BODIES_AT_ONCE));
        let progress = store.read().unwrap_or_else(PoisonError::into_inner).progress();
        Self { store, progress, agent: None, cache, turns, bodies, token: None, is_live: true, born }
    }

    /// Makes the page show the agent's own use, too.
    #[must_use]
    pub fn with_agent(mut self, agent: impl Fn() -> AgentView + Send + Sync + 'static) -> Self {
        self.agent = Some(Box::new(agent));
        self
    }

    /// Makes the page answer only requests that have this token.
    #[must_use]
    pub fn with_token(mut self, token: Option<Token>) -> Self {
        self.token = token;
        self
    }

    /// An answer from the cache.
    pub(crate) fn cached(&self, key: &Key) -> Option<Bytes> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(key)
    }

    /// Keeps an answer for clients that ask the same.
    pub(crate) fn cache(&self, key: Key, answer: Bytes) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(key, answer);
    }

    pub(crate) fn agent(&self) -> Option<AgentView> {
        self.agent.as_ref().map(|agent| agent())
    }

    /// The result of `work`, which runs in its turn on a thread that may wait; `None` if it panics.
    ///
    /// The turn lasts as long as the work, not as long as the client waits for it: clients that hang up and ask again
    /// also have only one question worked on at a time.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let page = Arc::clone(self);
        let work = move || {
            let done = work(&page);
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// A place for an answer that is for one client alone, as soon as one is free.
    pub(crate) async fn place(&self) -> Option<BodyPlace> {
        Arc::clone(&self.bodies).acquire_owned().await.ok().map(BodyPlace)
    }

    /// The same as [`place`](Self::place), without waiting; `None` if no place is free.
    pub(crate) fn place_now(&self) -> Option<BodyPlace> {
        Arc::clone(&self.bodies).try_acquire_owned().ok().map(BodyPlace)
    }

    /// True if no question is being worked on.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.turns.available_permits() == AT_ONCE
    }

    /// The store, read-locked: waits while it is changed, so never call this on a thread of the runtime.
    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        // Tables that a panic has left half made answer with less, not with wrong places.
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}
