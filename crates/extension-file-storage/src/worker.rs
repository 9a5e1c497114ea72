//! The thread that writes one exporter's file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{info, trace, warn};

use crate::clock::{Clock, first_key};
use crate::config::Config;
use crate::directory::Taken;
use crate::inbox::{Append, Asked, Inbox, ReadResult};
use crate::metrics::Metrics;
use crate::store::{self, Contents, Found, Store};
use crate::store_error::StoreError;
use crate::stored::{Handle, Stored, Unavailable};

/// The shortest pause between attempts to use a file that has failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The shortest pause after an attempt, as a multiple of the time it took: a large file takes long to check.
const REST: u32 = 4;
/// Size beyond which an empty file is made anew: a database never gets smaller by itself.
const LARGE_FILE: u64 = 16 << 20;

/// Hands over the requests that an earlier run has left.
pub(crate) type Recovered = Box<dyn FnOnce(Vec<Stored>) + Send>;

pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    file: Taken,
    exporter: String,
    clock: Clock,
    fsync: bool,
    interval: Duration,
    /// The shortest pause between attempts to use a file that has failed.
    again_after: Duration,
    /// Size in bytes beyond which an empty file is made anew.
    large_file: u64,
    metrics: Metrics,
    /// The open file; `None` while it cannot be used.
    store: Option<Store>,
    /// Time when the file was last found unusable.
    failed: Option<Instant>,
    /// Time that the last opening took, or failing.
    opening: Duration,
    /// True while the file cannot be used, which has been logged.
    is_failing: bool,
    /// The receiver of an earlier run's requests; `None` once the file was open.
    recovered: Option<Recovered>,
    /// Keys of the records in the file that are wanted.
    live: HashMap<Handle, u64>,
    /// Keys of records that may be in the file and are not wanted.
    unwanted: Vec<u64>,
    next_key: u64,
}

impl Worker {
    pub(crate) fn new(
        inbox: Arc<Inbox>,
        file: Taken,
        config: &Config,
        exporter: &str,
        clock: Clock,
        recovered: Recovered,
    ) -> Self {
        Self {
            inbox,
            file,
            exporter: exporter.to_owned(),
            clock,
            fsync: config.fsync,
            interval: config.fsync_interval,
            again_after: TRY_AGAIN_AFTER,
            large_file: LARGE_FILE,
            metrics: Metrics::of(exporter),
            store: None,
            failed: None,
            opening: Duration::ZERO,
            is_failing: false,
            recovered: Some(recovered),
            live: HashMap::new(),
            unwanted: Vec::new(),
            next_key: first_key(),
        }
    }

    /// Does the work that is asked for until nobody asks any more.
    pub(crate) fn run(mut self) {
        let last = loop {
            let (flushes, is_closed) = self.turn();
            if is_closed {
                break flushes;
            }
            notify_all(flushes);
        };
        if let Some(store) = self.store.take() {
            store.close();
        }
        drop(self.file);
        notify_all(last);
    }

    /// Waits for work and does it. Returns those who wait for its end, and true if no more will be asked for.
    fn turn(&mut self) -> (Vec<oneshot::Sender<()>>, bool) {
        self.open();
        let Asked { appends, removes, reads, flushes, is_closed, .. } = self.inbox.take(self.interval);
        for (handle, answer) in reads {
            // Nobody may wait for it any more.
            let _unwanted = answer.send(self.read(handle));
        }
        self.write(appends, &removes);
        (flushes, is_closed)
    }

    /// Opens the file unless it is open, or has just failed.
    fn open(&mut self) {
        let rest = self.again_after.max(self.opening.saturating_mul(REST));
        if self.store.is_some() || self.failed.is_some_and(|failed| failed.elapsed() < rest) {
            return;
        }
        let began = Instant::now();
        let path = self.file.path();
        if self.recovered.is_none() && self.live.is_empty() {
            // Nothing in there is wanted, and to remove it from the file takes room that there may not be.
            let _gone = store::remove(&path);
        }
        let opened = Store::open(&path, self.fsync);
        self.opening = began.elapsed();
        match opened {
            Ok((store, contents)) => {
                self.store = Some(store);
                self.take_stock(&contents);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Notes the contents of the file that has been opened.
    fn take_stock(&mut self, contents: &Contents) {
        let Contents { records, corrupt, moved } = contents;
        self.metrics.corrupt_records.increment(*corrupt);
        let exporter = &self.exporter;
        if *corrupt > 0 {
            warn!(exporter, requests = corrupt, "Skipping corrupt requests of the queue.");
        }
        if let Some(moved) = moved {
            self.metrics.corrupt_files.increment(1);
            warn!(
                exporter, moved_to = %moved.display(), saved_requests = records.len(),
                "The file of the queue is corrupt. Going on with what is whole in it."
            );
        }
        let next_key = records.last().map_or(0, |found| found.key.saturating_add(1));
        self.next_key = self.next_key.max(next_key);
        match self.recovered.take() {
            Some(recovered) => self.recover(records, recovered),
            None => {
                // A record whose write was reported as failed may be there, and a removed one may be there again.
                let wanted: HashSet<u64> = self.live.values().copied().collect();
                let keys = records.iter().map(|found| found.key);
                self.unwanted = keys.filter(|key| !wanted.contains(key)).collect();
            }
        }
    }

    /// Hands over the requests that an earlier run has left.
    fn recover(&mut self, records: &[Found], recovered: Recovered) {
        let mut stored = Vec::with_capacity(records.len());
        for &Found { key, samples, created, bytes } in records {
            let handle = self.inbox.ask(Asked::handle);
            self.live.insert(handle, key);
            let age = self.clock.age(created);
            stored.push(Stored { handle, samples, bytes, age });
        }
        self.metrics.recovered.increment(stored.len() as u64);
        if !stored.is_empty() {
            info!(
                exporter = self.exporter,
                requests = stored.len(),
                "The queue goes on with what is on disk."
            );
        }
        recovered(stored);
    }

    fn read(&mut self, handle: Handle) -> ReadResult {
        self.open();
        let store = self.store.as_ref().ok_or(Unavailable)?;
        let Some(key) = self.live.get(&handle) else { return Ok(None) };
        match store.read(*key) {
            Ok(Some(record)) => Ok(Some(record)),
            Ok(None) => {
                self.metrics.corrupt_records.increment(1);
                warn!(exporter = self.exporter, requests = 1, "Skipping corrupt requests of the queue.");
                Ok(None)
            }
            Err(error) => {
                self.fail(&error);
                Err(Unavailable)
            }
        }
    }

    /// Writes and removes all of it, or nothing.
    fn write(&mut self, appends: Vec<Append>, removes: &[Handle]) {
        let gone: HashSet<Handle> = removes.iter().copied().collect();
        self.unwanted.extend(removes.iter().filter_map(|handle| self.live.remove(handle)));
        // A request that is over before it was written need not be written.
        let (over, appends): (Vec<_>, Vec<_>) =
            appends.into_iter().partition(|append| gone.contains(&append.handle));
        over.into_iter().for_each(|append| (append.then)(true));
        if appends.is_empty() && self.unwanted.is_empty() {
            return;
        }
        self.open();
        let mut added = Vec::with_capacity(appends.len());
        for append in &appends {
            added.push((self.next_key, append.record.encode(self.next_key)));
            self.next_key += 1;
        }
        let outcome = self.store.as_mut().map(|store| store.commit(&added, &self.unwanted));
        let is_there = match outcome {
            Some(Ok(())) => {
                self.unwanted.clear();
                self.note_working();
                true
            }
            Some(Err(error)) => {
                self.fail(&error);
                false
            }
            None => false,
        };
        for (append, (key, _)) in appends.into_iter().zip(added) {
            if is_there {
                trace!(exporter = self.exporter, key, samples = append.record.samples, "Written to disk.");
                self.live.insert(append.handle, key);
            }
            (append.then)(is_there);
        }
        self.shrink();
    }

    /// Makes a large file anew once nothing is left in it.
    fn shrink(&mut self) {
        let is_due = self.live.is_empty() && self.recovered.is_none();
        if is_due && let Some(store) = self.store.take_if(|store| store.file_bytes() > self.large_file) {
            store.close();
            self.open();
        }
    }

    /// Notes that the file cannot be used: until it can, the queue is in memory alone.
    fn fail(&mut self, error: &StoreError) {
        if let Some(store) = self.store.take() {
            store.close();
        }
        self.failed = Some(Instant::now());
        self.metrics.failures.increment(1);
        if !std::mem::replace(&mut self.is_failing, true) {
            warn!(
                exporter = self.exporter, file = %self.file.path().display(), %error,
                "Cannot use the file of the queue. Keeping the queue in memory until it works."
            );
        }
    }

    /// Notes that the file has been written to.
    fn note_working(&mut self) {
        self.failed = None;
        if std::mem::take(&mut self.is_failing) {
            info!(exporter = self.exporter, "The queue is kept on disk again.");
        }
    }
}

/// Notifies those who wait for all work to be done.
fn notify_all(flushes: Vec<oneshot::Sender<()>>) {
    for flush in flushes {
        // Nobody may wait for it any more.
        let _unwanted = flush.send(());
    }
}

#[cfg(test)]
mod tests;
