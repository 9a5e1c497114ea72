//! Follows what becomes of the pods of a node: a list, then a watch from its version on, and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::api::{self, Api, PodPage, PodWatch};
use crate::backoff::ApiBackoff;
use crate::error::ApiError;
use crate::extract::PodExtract;
use crate::metrics;
use crate::object::{PodObject, WatchEvent};
use crate::pod::Pod;

/// Pods of a page at first; fewer if one is too large.
const PAGE: u32 = 500;
/// Most pages of a list.
const MAX_PAGES: usize = 1000;
/// Time that the server may take for all pages of a list; whoever reads the changes may take longer.
const LIST_TIME: Duration = Duration::from_secs(120);
/// Time from one list to the next that is made because there is room for more pods: each costs the server a look at all
/// pods of the cluster.
const LIST_PAUSE: Duration = Duration::from_secs(60);
/// A watch that ends sooner than that, without an event, has failed, whatever the server says.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

/// Something that has become of the pods of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodChange {
    /// The pods that follow are those that there are.
    ListBegan,
    /// All of them have been sent: others that are known have been deleted.
    ListEnded,
    /// A pod is there, as it is now.
    Present(Box<Pod>),
    /// A pod has been deleted; this is what it was last.
    Deleted(Box<Pod>),
}

/// Nobody wants to know any more.
#[derive(Clone, Copy, Debug)]
struct Unwanted;

/// Asks the API server about the pods of a node for as long as anybody wants to know.
#[derive(Debug)]
pub(crate) struct Reflector {
    api: Api,
    extract: PodExtract,
    changes: Sender<PodChange>,
    /// The wish of whoever reads the changes that all pods are listed again.
    wish: Arc<Notify>,
    /// Waits after requests that came to nothing.
    backoff: ApiBackoff,
    /// Waits before lists that a server asks for which does not remember the version of the one before.
    relisting: ApiBackoff,
    /// Time that the server may take for all pages of a list.
    list_time: Duration,
    /// Time from a list to the next that is wished for, and the end of the last one.
    list_pause: Duration,
    listed: Instant,
    /// Pods of a page.
    limit: u32,
    /// True while the log says that nothing can be learnt.
    failing: bool,
}

impl Reflector {
    /// Makes one that sends `changes`, and lists all pods again some time after each `wish`.
    pub(crate) fn new(api: Api, extract: PodExtract, changes: Sender<PodChange>, wish: Arc<Notify>) -> Self {
        Self {
            api,
            extract,
            changes,
            wish,
            backoff: ApiBackoff::default(),
            relisting: ApiBackoff::default(),
            list_time: LIST_TIME,
            list_pause: LIST_PAUSE,
            listed: Instant::now(),
            limit: PAGE,
            failing: false,
        }
    }

    /// Lists and watches until nobody wants to know any more.
    pub(crate) async fn run(mut self) {
        let mut first = PodPage::Any;
        while let Ok(version) = self.list(first).await {
            let Ok(next) = self.watch(version).await else { return };
            first = next;
        }
    }

    /// Sends all pods that there are. Returns the version of which that is true.
    async fn list(&mut self, mut first: PodPage) -> Result<String, Unwanted> {
        loop {
            match self.pages(first.clone()).await? {
                Ok(version) => {
                    metrics::request("list", "ok");
                    (self.limit, self.backoff) = (PAGE, ApiBackoff::default());
                    self.listed = Instant::now();
                    return Ok(version);
                }
                Err(error) => {
                    match error {
                        ApiError::Expired(_) => first = PodPage::Newest,
                        ApiError::TooLarge(_) => {
                            // A list of any version may come as a whole, whatever limit is asked for.
                            first = PodPage::Newest;
                            self.limit = (self.limit / 4).max(1);
                        }
                        _ => {}
                    }
                    self.failed("list", &error).await;
                }
            }
        }
    }

    async fn pages(&mut self, first: PodPage) -> Result<Result<String, ApiError>, Unwanted> {
        let (mut page, mut began, mut time) = (first, false, self.list_time);
        for _ in 0..MAX_PAGES {
            let asked = Instant::now();
            let list = match timeout(time, self.api.list(&page, self.limit)).await {
                Ok(Ok(list)) => list,
                Ok(Err(error)) => return Ok(Err(error)),
                Err(_elapsed) => return Ok(Err(ApiError::Late(self.list_time))),
            };
            time = time.saturating_sub(asked.elapsed());
            if !std::mem::replace(&mut began, true) {
                self.send(PodChange::ListBegan).await?;
            }
            for object in list.items.iter().flatten() {
                self.send_pod(object, PodChange::Present).await?;
            }
            let metadata = list.metadata.unwrap_or_default();
            match metadata.next.filter(|next| !next.is_empty()) {
                Some(next) => page = PodPage::After(next),
                None => {
                    self.send(PodChange::ListEnded).await?;
                    return Ok(Ok(metadata.resource_version.unwrap_or_default()));
                }
            }
        }
        Ok(Err(ApiError::TooManyPages(MAX_PAGES)))
    }

    /// Sends what becomes of the pods from a version on, until the server does not remember that any more, or a list is
    /// wished for. Returns the list that is to follow.
    async fn watch(&mut self, mut version: String) -> Result<PodPage, Unwanted> {
        let (wish, from) = (Arc::clone(&self.wish), self.listed + self.list_pause);
        loop {
            let began = Instant::now();
            // First the pause: a wish that is taken is one that is granted.
            let wished = async {
                sleep_until(from).await;
                wish.notified().await;
            };
            let ended = tokio::select! {
                ended = self.one_watch(&mut version) => ended?,
                () = wished => {
                    metrics::request("watch", "ok");
                    return Ok(PodPage::Since(version));
                }
            };
            match ended {
                Ok(()) => {
                    metrics::request("watch", "ok");
                    if began.elapsed() >= SHORTEST_WATCH {
                        self.is_well();
                    } else {
                        sleep(self.backoff.next(None).max(SHORTEST_WATCH)).await;
                    }
                }
                Err(error @ ApiError::Expired(_)) => {
                    metrics::request("watch", error.outcome());
                    // All pods are listed now: a server that never remembers is not asked for that without pause.
                    sleep(self.relisting.next(None)).await;
                    // Nothing older will do.
                    return Ok(PodPage::Newest);
                }
                Err(error) => self.failed("watch", &error).await,
            }
        }
    }

    async fn one_watch(&mut self, version: &mut String) -> Result<Result<(), ApiError>, Unwanted> {
        match self.api.watch(version).await {
            Ok(watch) => self.events(watch, version).await,
            Err(error) => Ok(Err(error)),
        }
    }

    /// Sends the events of a watch until it ends. Each moves the version from which the next watch begins.
    async fn events(
        &mut self,
        mut watch: PodWatch,
        version: &mut String,
    ) -> Result<Result<(), ApiError>, Unwanted> {
        loop {
            let event = match watch.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            let seen = match &event {
                WatchEvent::Present(pod) | WatchEvent::Deleted(pod) => {
                    pod.resource_version().map(str::to_owned)
                }
                WatchEvent::Bookmark(version) => Some(version.clone()),
                WatchEvent::Error(_) | WatchEvent::Other => None,
            };
            if seen.is_some() {
                self.is_well();
            }
            match event {
                WatchEvent::Present(pod) => self.send_pod(&pod, PodChange::Present).await?,
                WatchEvent::Deleted(pod) => self.send_pod(&pod, PodChange::Deleted).await?,
                WatchEvent::Error(status) => return Ok(Err(api::ended(status, version))),
                WatchEvent::Bookmark(_) | WatchEvent::Other => {}
            }
            if let Some(seen) = seen {
                *version = seen;
            }
        }
    }

    async fn send_pod(&self, object: &PodObject, change: fn(Box<Pod>) -> PodChange) -> Result<(), Unwanted> {
        match Pod::of(object, &self.extract) {
            Some(pod) => self.send(change(Box::new(pod))).await,
            None => {
                metrics::refused("not_of_this_node");
                Ok(())
            }
        }
    }

    async fn send(&self, change: PodChange) -> Result<(), Unwanted> {
        self.changes.send(change).await.map_err(|_closed| Unwanted)
    }

    /// Notes that the server does all that is asked of it: a list alone does not say so, since it may have been asked
    /// for because no watch is to be had.
    fn is_well(&mut self) {
        (self.backoff, self.relisting) = (ApiBackoff::default(), ApiBackoff::default());
        if std::mem::take(&mut self.failing) {
            tracing::info!("The API server answers again: pods are followed.");
        }
    }

    /// Counts a failure, logs the first of several, and waits.
    async fn failed(&mut self, what: &'static str, error: &ApiError) {
        metrics::request(what, error.outcome());
        let wait = self.backoff.next(error.retry_after());
        if !std::mem::replace(&mut self.failing, true) {
            let error: &dyn std::error::Error = error;
            tracing::warn!(request = what, error, "Cannot ask the API server about pods: it is tried again.");
        }
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
