//! The queue's file.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use extension_file_storage::{Appended, Client, FileStorage, Handle, Stored, Unavailable};
use otlp_profiles::ProfilesRequest;
use tokio::time::Instant;

/// A report of the thread that owns the file.
#[derive(Debug)]
pub(crate) enum Report {
    /// The requests that an earlier run has left in the file, once it is open.
    Recovered(Vec<Stored>),
    /// The outcome of writing the request with this key.
    Appended(u64, Appended),
}

/// A receiver of a file's reports, which is called on the file's thread.
type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

/// A client of the storage that reports the outcome of writing each of the queue's requests.
pub(crate) struct Disk {
    client: Client,
    report: Reporter,
    /// The longest time for which the file keeps a request; zero for ever.
    max_age: Duration,
}

impl Disk {
    /// Takes the file of the exporter, once it is free. Every report of the file goes to `report`.
    ///
    /// # Errors
    /// If the operating system has no thread left.
    pub(crate) fn open(
        storage: &FileStorage,
        exporter: &str,
        max_age: Duration,
        report: impl Fn(Report) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let report: Reporter = Arc::new(report);
        let recovered = Arc::clone(&report);
        let client = storage.client(exporter, move |stored| recovered(Report::Recovered(stored)))?;
        Ok(Self { client, report, max_age })
    }

    /// Has the request written; the outcome is reported.
    pub(crate) fn append(&self, key: u64, request: &ProfilesRequest) -> Handle {
        let report = Arc::clone(&self.report);
        self.client.append(request.bytes.clone(), request.samples, move |appended| {
            report(Report::Appended(key, appended));
        })
    }

    pub(crate) fn read(
        &self,
        handle: Handle,
    ) -> impl Future<Output = Result<Option<Bytes>, Unavailable>> + use<> {
        self.client.read(handle)
    }

    pub(crate) fn remove(&self, handle: Handle) {
        self.client.remove(handle);
    }

    /// Resolves once everything has been written that can be.
    pub(crate) fn flush(&self) -> impl Future<Output = ()> + use<> {
        self.client.flush()
    }

    /// Resolves once the file is free for the next owner.
    pub(crate) fn close(self) -> impl Future<Output = ()> {
        self.client.close()
    }

    /// Time at which a request of that age is too old; `None` for never.
    pub(crate) fn expires(&self, age: Duration) -> Option<Instant> {
        let left = self.max_age.saturating_sub(age);
        if self.max_age.is_zero() { None } else { Instant::now().checked_add(left) }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("client", &self.client)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}
