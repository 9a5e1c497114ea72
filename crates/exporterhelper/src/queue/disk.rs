//! The queue's file.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use extension_file_storage::{Appended, Client, FileStorage, Handle, Unavailable};
use otlp_profiles::Request;
use tokio::time::Instant;

use super::shared::Shared;

/// A client of the storage that tells the queue what becomes of its requests.
#[derive(Debug)]
pub(crate) struct Disk {
    client: Client,
    queue: Weak<Shared>,
    /// Zero for any age.
    max_age: Duration,
}

impl Disk {
    /// Takes the file of the exporter, once it is free.
    ///
    /// # Errors
    /// If the operating system has no thread left.
    pub(crate) fn open(
        storage: &FileStorage,
        exporter: &str,
        max_age: Duration,
        queue: &Arc<Shared>,
    ) -> std::io::Result<Self> {
        let queue = Arc::downgrade(queue);
        let tell = queue.clone();
        let client = storage.client(exporter, move |stored| {
            if let Some(queue) = tell.upgrade() {
                queue.recovered(&stored);
            }
        })?;
        Ok(Self { client, queue, max_age })
    }

    /// Has the request written; the queue is told when that is done.
    pub(crate) fn append(&self, key: u64, request: &Request) -> Handle {
        let queue = self.queue.clone();
        self.client.append(request.bytes.clone(), request.samples, move |appended: Appended| {
            if let Some(queue) = queue.upgrade() {
                queue.appended(key, appended);
            }
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

    /// Resolves once everything is done that can be.
    pub(crate) fn flush(&self) -> impl Future<Output = ()> + use<> {
        self.client.flush()
    }

    /// Resolves once the file is free for the next.
    pub(crate) fn close(self) -> impl Future<Output = ()> {
        self.client.close()
    }

    /// When a request of that age is too old; `None` for never.
    pub(crate) fn expires(&self, age: Duration) -> Option<Instant> {
        let left = self.max_age.saturating_sub(age);
        if self.max_age.is_zero() { None } else { Instant::now().checked_add(left) }
    }
}
