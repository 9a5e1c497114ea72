//! Unwind rows for the walks of the kernel side: read from files when a walk first meets them, page by page.
//!
//! ```text
//! ebpf/unwind.bpf.h --page not built--> ring `row_asks` --+
//! a sample's end: file not known --reader.rs--> queue ----+--> worker.rs: files.rs --> crates/unwind --> tables.rs --> maps
//! ```
//!
//! The rows of a file are found by what identifies its content, so a process needs nothing of its own; see
//! `docs/decisions/unwinding.md`.

mod files;
mod kernel;
mod lookup;
mod room;
mod rules;
mod spans;
mod tables;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use pdata::{BuildId, FileIdentity};
use procfs::ProcSource;

use self::files::Files;
pub(crate) use self::files::MetFile;
pub(crate) use self::kernel::{PAGES_BYTES, RULES_BYTES, RowMaps};
pub(crate) use self::tables::TableSize;
use self::tables::Tables;
use self::worker::{Request, Worker};
use crate::config::UnwindConfig;
use crate::error::StartError;
use crate::identify::Identifier;
use crate::memory::SharedMemory;
use crate::metrics::unwind as metrics;
use crate::rest::Waker;
use crate::ring::Ring;

/// Files that wait to be read at most; more are asked for again by later samples.
const QUEUE: usize = 1024;

/// The memory and maps that walks read rows from.
pub(crate) struct WalkMaps {
    /// Files and chunks.
    pub(crate) rows: RowMaps,
    /// All rules.
    pub(crate) rules: SharedMemory,
    /// The directory of pages.
    pub(crate) pages: SharedMemory,
    /// Pages that walks ask for.
    pub(crate) asks: Ring,
}

/// The other end of the thread that builds rows, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Unwinder {
    requests: SyncSender<Request>,
    /// True if the thread has not been woken since the last request.
    has_asked: bool,
    waker: Waker,
    stop: Arc<AtomicBool>,
}

impl Unwinder {
    /// Starts the thread.
    pub(crate) fn start(
        maps: WalkMaps,
        config: &UnwindConfig,
        identifier: Arc<Identifier>,
    ) -> Result<Self, StartError> {
        let WalkMaps { rows, rules, pages, mut asks } = maps;
        let (requests, asked) = sync_channel(QUEUE);
        let waker = Waker::new().map_err(StartError::Waker)?;
        let stop = Arc::new(AtomicBool::new(false));
        let tables = Tables::new(rows, rules, pages, config.max_memory.bytes());
        let source = ProcSource::new("/proc").verified_by(identifier);
        let worker = Worker::new(tables, Files::new(source), asked);
        metrics::register();
        let (resting, stopping) = (waker.clone(), Arc::clone(&stop));
        thread::Builder::new()
            .name("ebpf-unwinder".to_owned())
            .spawn(move || worker.run(&mut asks, &resting, &stopping))
            .map_err(StartError::Unwinder)?;
        Ok(Self { requests, has_asked: false, waker, stop })
    }

    /// Has a file read that walks do not know, after [`wake`](Self::wake). One that does not fit in the queue is met
    /// again.
    pub(crate) fn read(&mut self, met: MetFile) {
        self.ask(Request::Read(met));
    }

    /// Compares a file with the one that walks know by its identity, if they know one, after [`wake`](Self::wake).
    pub(crate) fn announced(&mut self, file: FileIdentity, build_id: Option<BuildId>) {
        self.ask(Request::Compare(file, build_id));
    }

    /// Wakes the thread if something was asked for: once for all that a poll has read.
    pub(crate) fn wake(&mut self) {
        if std::mem::take(&mut self.has_asked) {
            self.waker.wake();
        }
    }

    fn ask(&mut self, request: Request) {
        self.has_asked = true;
        if self.requests.try_send(request).is_err() {
            metrics::file("queue_full");
            self.wake();
        }
    }
}

impl Drop for Unwinder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
    }
}
