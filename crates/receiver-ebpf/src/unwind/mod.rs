//! Unwind rows for the walks of the kernel side: read from files when a walk first meets them, page by page.
//!
//! ```text
//! ebpf/unwind.bpf.h --page not built--> ring `row_asks` --+
//! a sample's end: file not known --reader.rs--> queue ----+--> worker.rs: files.rs --> crates/unwind --> tables.rs --> maps
//! a sample with its stack --------reader.rs--> queue ----+          |
//!                                 hold.rs <-- the rest of it --- follow.rs
//! ```
//!
//! The rows of a file are found by the identity of its content, so a process needs nothing of its own; see
//! `docs/decisions/unwinding.md`.

mod files;
mod follow;
mod kernel;
mod lookup;
mod next;
mod owner;
mod room;
mod rules;
mod spans;
mod tables;
#[cfg(test)]
mod tests;
mod turns;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use pdata::{BuildId, FileIdentity};
use procfs::ProcSource;

use self::files::Files;
pub(crate) use self::files::MetFile;
pub(crate) use self::follow::{Follow, Followed, PATIENCE, Ticket};
pub(crate) use self::kernel::{PAGES_BYTES, RULES_BYTES, RowMaps};
pub(crate) use self::tables::TableSize;
use self::tables::Tables;
use self::worker::{FileRequest, Requests, Worker};
use crate::abi::SampleMapping;
use crate::config::UnwindConfig;
use crate::decode::RawStack;
use crate::error::StartError;
use crate::identify::Identifier;
use crate::memory::SharedMemory;
use crate::metrics::unwind as metrics;
use crate::rest::Waker;
use crate::ring::Ring;

/// The most files that wait to be read; later samples ask for more of them again.
const QUEUE: usize = 1024;
/// The most stacks that wait to be followed.
const STACKS: usize = 4096;
/// The most answers that wait to be taken; a stack whose answer finds no room is as one that nobody followed.
const ANSWERS: usize = 4 * STACKS;

/// The memory and maps that walks read rows from.
pub(crate) struct WalkMaps {
    /// The maps of files and chunks.
    pub(crate) rows: RowMaps,
    /// The memory of all rules.
    pub(crate) rules: SharedMemory,
    /// The directory of pages.
    pub(crate) pages: SharedMemory,
    /// The ring of pages that walks ask for.
    pub(crate) asks: Ring,
}

/// The handle of the thread that builds rows, which ends when the handle is dropped.
#[derive(Debug)]
pub(crate) struct Unwinder {
    requests: SyncSender<FileRequest>,
    stacks: SyncSender<Follow>,
    followed: Receiver<(Ticket, Followed)>,
    /// The ticket of the last stack that was handed to the thread.
    ticket: Ticket,
    max_frames: usize,
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
        let (requests, files) = sync_channel(QUEUE);
        let (stacks, to_follow) = sync_channel(STACKS);
        let (answers, followed) = sync_channel(ANSWERS);
        let waker = Waker::new().map_err(StartError::Waker)?;
        let stop = Arc::new(AtomicBool::new(false));
        let tables = Tables::new(rows, rules, pages, config.max_memory.bytes());
        let source = ProcSource::new("/proc").verified_by(identifier);
        let worker =
            Worker::new(tables, Files::new(source), Requests { files, stacks: to_follow, followed: answers });
        metrics::register();
        let (resting, stopping) = (waker.clone(), Arc::clone(&stop));
        thread::Builder::new()
            .name("ebpf-unwinder".to_owned())
            .spawn(move || worker.run(&mut asks, &resting, &stopping))
            .map_err(StartError::Unwinder)?;
        let max_frames = usize::try_from(config.max_frames).unwrap_or(usize::MAX);
        let ticket = Ticket::default();
        Ok(Self { requests, stacks, followed, ticket, max_frames, has_asked: false, waker, stop })
    }

    /// Has a file read that walks do not know, after [`wake`](Self::wake). A file that does not fit in the queue is met
    /// again.
    pub(crate) fn read(&mut self, met: MetFile) {
        self.ask(FileRequest::Read(met));
    }

    /// Compares a file with the one that walks know by its identity, if they know one, after [`wake`](Self::wake).
    pub(crate) fn announced(&mut self, file: FileIdentity, build_id: Option<BuildId>) {
        self.ask(FileRequest::Compare(file, build_id));
    }

    /// Has the rest of a sample's stack followed, some of whose frames are known. Returns the ticket of the answer;
    /// `None` if too many stacks wait.
    pub(crate) fn follow(
        &mut self,
        stack: Box<RawStack>,
        code: Vec<(SampleMapping, Option<MetFile>)>,
        known: usize,
        since: Instant,
    ) -> Option<Ticket> {
        let ticket = Ticket(self.ticket.0 + 1);
        let room = self.max_frames.saturating_sub(known);
        self.stacks.try_send(Follow { ticket, stack, code, room, since }).ok()?;
        self.ticket = ticket;
        self.has_asked = true;
        Some(ticket)
    }

    /// Returns an answer, if there is one within that time.
    pub(crate) fn followed(&self, within: Duration) -> Option<(Ticket, Followed)> {
        if within.is_zero() { self.followed.try_recv().ok() } else { self.followed.recv_timeout(within).ok() }
    }

    /// Wakes the thread if it has new requests: once for all those of a poll.
    pub(crate) fn wake(&mut self) {
        if std::mem::take(&mut self.has_asked) {
            self.waker.wake();
        }
    }

    fn ask(&mut self, request: FileRequest) {
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
