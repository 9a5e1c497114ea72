//! The thread that reads files and builds rows: however long a disk takes for it, nobody else waits.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use foldhash::HashMap;
use foreignfile::Retries;
use pdata::{BuildId, FileIdentity, Uid};
use unwind::{PageRows, UnwindFile};

use super::files::{FileError, Files, MetFile};
use super::follow::{Follow, Followed, Ticket};
use super::kernel::Kernel;
use super::tables::{FileFacts, TableError, Tables, VDSO};
use super::turns::Turns;
use crate::abi;
use crate::metrics::unwind as metrics;
use crate::rest::{Waker, rest};
use crate::ring::Ring;

/// The time for which a file that could not be read is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// The time for which walks do without a page that could not be built.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// The most pages of a file that is built as a whole when it is first met: most programs, but not the libraries that
/// all share.
const SMALL_FILE: u64 = 8;
/// The most pages that are built before any of them is published: a megabyte of rows at most.
const MAX_BATCH: usize = 16;
/// The most work of each kind in one turn, so that no kind waits for all of another: stacks, which the watermark waits
/// for; files; pages.
const STACKS_A_TURN: usize = 32;
const FILES_A_TURN: usize = 4;
const PAGES_A_TURN: usize = MAX_BATCH;
/// The most failures that are remembered; then all are forgotten.
const MAX_FAILURES: usize = 4096;
/// The longest rest, and the rest while a file or page waits to be tried again, or to be closed.
const IDLE: Duration = Duration::from_secs(60);
const BUSY: Duration = Duration::from_secs(1);

/// A request of the reader of samples, about a file.
#[derive(Debug)]
pub(crate) enum FileRequest {
    /// A file that walks do not know.
    Read(MetFile),
    /// A file that has been announced, and its build ID: devices and inode numbers come again.
    Compare(FileIdentity, Option<BuildId>),
}

/// The channels of the reader's requests, and of the answers.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) files: Receiver<FileRequest>,
    pub(crate) stacks: Receiver<Follow>,
    pub(crate) followed: SyncSender<(Ticket, Followed)>,
}

/// The state that the thread works on.
#[derive(Debug)]
pub(crate) struct Worker<K> {
    pub(super) tables: Tables<K>,
    pub(super) files: Files,
    /// The files that the tables know, to open them again.
    pub(super) met: HashMap<FileIdentity, MetFile>,
    requests: Requests,
    /// Stacks that wait for their turn.
    stacks: Turns<Uid, u64, Follow>,
    /// Pages that walks have asked for. Ascending, so that one file is read in its order.
    asked: BTreeSet<u32>,
    failures: Retries<FileIdentity, ()>,
    /// Pages to be asked for again, with the instants.
    refused: HashMap<u32, Instant>,
}

impl<K: Kernel> Worker<K> {
    /// A worker with nothing to do yet.
    pub(crate) fn new(tables: Tables<K>, files: Files, requests: Requests) -> Self {
        let failures = Retries::new(RETRY, MAX_FAILURES);
        let (met, refused, asked) = (HashMap::default(), HashMap::default(), BTreeSet::new());
        Self { tables, files, met, requests, stacks: Turns::default(), asked, failures, refused }
    }

    /// Builds the pages that walks ask for, until asked to stop.
    pub(crate) fn run(mut self, asks: &mut Ring, waker: &Waker, stop: &AtomicBool) {
        self.add_vdso();
        while !stop.load(Ordering::Relaxed) {
            asks.drain(|record| self.asked.extend(page_number(record)));
            let more = self.take_turn();
            self.ask_again(Instant::now());
            metrics::size(self.tables.size());
            let some_open = self.files.close(!more);
            if more {
                continue;
            }
            let longest = if self.refused.is_empty() && !some_open { IDLE } else { BUSY };
            let began = Instant::now();
            rest(waker, asks, Duration::ZERO, longest);
            if began.elapsed() >= IDLE {
                self.files.rest();
            }
        }
    }

    /// Builds the vDSO's rows, at once: nobody can open its file later.
    pub(super) fn add_vdso(&mut self) {
        let image = match procfs::own_vdso() {
            Ok(image) => image,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(%error, "The vDSO cannot be read: stacks that pass through it are cut short.");
                return;
            }
        };
        let Ok(mut file) = UnwindFile::open(&*image) else { return };
        let facts = FileFacts { pages: file.pages(), ..FileFacts::default() };
        if self.tables.add_file(VDSO, facts).is_err() {
            return;
        }
        for page in 0..file.pages() {
            let Some(number) = self.tables.number(VDSO, page) else { continue };
            if let Ok(rows) = file.page(&*image, page, self.tables.rules()) {
                let _published = self.tables.publish(number, &rows);
            }
        }
    }

    /// Does a part of the waiting work. Returns true if there may be more.
    pub(super) fn take_turn(&mut self) -> bool {
        let stacks = self.follow_stacks();
        let files = self.read_files();
        let now: Vec<u32> = self.asked.iter().copied().take(PAGES_A_TURN).collect();
        now.iter().for_each(|number| {
            self.asked.remove(number);
        });
        self.build_all(now);
        stacks || files || !self.asked.is_empty()
    }

    fn follow_stacks(&mut self) -> bool {
        while let Ok(stack) = self.requests.stacks.try_recv() {
            self.stacks.push(stack.holder(), stack);
        }
        let mut followed = 0;
        while followed < STACKS_A_TURN
            && let Some(stack) = self.stacks.next()
        {
            let Some(rest) = self.follow(&stack) else { continue };
            followed += 1;
            // If the channel takes no answer, the agent is about to end or far behind.
            let _gone = self.requests.followed.try_send((stack.ticket, rest));
        }
        !self.stacks.is_empty()
    }

    fn read_files(&mut self) -> bool {
        for _ in 0..FILES_A_TURN {
            match self.requests.files.try_recv() {
                Ok(FileRequest::Read(met)) => self.read_file(met),
                Ok(FileRequest::Compare(file, build_id)) => {
                    let _known = self.tables.knows(file, build_id);
                }
                Err(_none) => return false,
            }
        }
        true
    }

    /// True if a page could not be built lately.
    pub(super) fn is_refused(&self, number: u32) -> bool {
        self.refused.contains_key(&number)
    }

    pub(super) fn read_file(&mut self, met: MetFile) {
        let identity = met.identity;
        let build_id = met.file.as_ref().and_then(|file| file.build_id);
        if self.tables.knows(identity, build_id) {
            // The process that has the file mapped now may live longer.
            self.met.insert(identity, met);
            return;
        }
        if self.failures.too_early(&identity).is_some() {
            return;
        }
        self.files.forget(identity);
        let without = FileFacts { build_id, ..FileFacts::default() };
        let facts = match self.files.facts(&met) {
            _ if met.file.is_none() => Ok(without),
            Err(FileError::NoTables(error)) => {
                tracing::debug!(%error, "A mapped file has no unwind tables");
                metrics::file("no_tables");
                Ok(without)
            }
            other => other,
        };
        let added = facts.map(|facts| self.tables.add_file(identity, facts));
        match added {
            Ok(Ok(())) => {
                metrics::file("read");
                self.failures.succeeded(&identity);
                self.met.insert(identity, met);
                self.forget_unknown();
                self.build_if_small(identity);
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "There is no room for a file's unwind tables");
                metrics::file("refused");
                self.failures.failed(identity, ());
            }
            Err(error) => {
                tracing::debug!(%error, "A mapped file's unwind tables could not be read");
                metrics::file(error.outcome());
                self.failures.failed(identity, ());
            }
        }
    }

    /// Builds all pages of a small file at once: a walk would ask for one, and the next walk for the next.
    fn build_if_small(&mut self, identity: FileIdentity) {
        let pages = (0..=SMALL_FILE).map_while(|page| self.tables.number(identity, page));
        let numbers: Vec<u32> = pages.collect();
        if numbers.len() as u64 <= SMALL_FILE {
            self.build_all(numbers);
        }
    }

    /// Forgets the files that the tables have forgotten by themselves.
    fn forget_unknown(&mut self) {
        if self.met.len() > 2 * abi::MAX_ROW_FILES {
            let tables = &mut self.tables;
            self.met.retain(|identity, _| tables.knows(*identity, None));
        }
    }

    /// Builds pages, by their numbers in ascending order.
    pub(super) fn build_all(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let mut pages = Vec::new();
        for number in numbers {
            if let Some((identity, page)) =
                self.tables.owner(number).filter(|_| !self.tables.is_built(number))
            {
                pages.push((identity, number, page));
            }
        }
        for of_file in pages.chunk_by(|(a, ..), (b, ..)| a == b) {
            of_file.chunks(MAX_BATCH).for_each(|batch| self.build_batch(batch));
        }
    }

    /// Builds pages of one file: its identity, and the number of each and its place in the file.
    fn build_batch(&mut self, batch: &[(FileIdentity, u32, u64)]) {
        let Some(&(identity, ..)) = batch.first() else { return };
        for file in self.tables.make_room_for_rules() {
            self.log_cut_off(file);
        }
        let Some(met) = self.met.get(&identity) else { return };
        let pages: Vec<u64> = batch.iter().map(|(.., page)| *page).collect();
        match self.files.rows(met, &pages, self.tables.rules()) {
            Ok(built) => {
                for (&(_, number, _), page) in batch.iter().zip(built) {
                    match page.rows {
                        Ok(rows) => self.publish(number, &rows, page.took),
                        Err(error) => self.not_built(number, &error),
                    }
                }
            }
            Err(error @ (FileError::Replaced | FileError::Gone)) => {
                // A process that still has the file mapped can be seen by the next sample that meets it, as a file that
                // is not known.
                metrics::page(error.outcome());
                self.tables.forget(&[identity]);
                self.files.forget(identity);
                self.met.remove(&identity);
                self.failures.failed(identity, ());
            }
            Err(error) => batch.iter().for_each(|&(_, number, _)| self.not_built(number, &error)),
        }
    }

    fn publish(&mut self, number: u32, rows: &PageRows, took: Duration) {
        match self.tables.publish(number, rows) {
            Ok(()) => metrics::built(took),
            Err(TableError::TooLarge) => self.gap(number),
            Err(error) => {
                tracing::debug!(%error, "A page of unwind rows found no room");
                metrics::page("refused");
                self.refused.insert(number, Instant::now() + REFUSED_FOR);
            }
        }
    }

    fn not_built(&mut self, number: u32, error: &FileError) {
        if matches!(error, FileError::NoTables(_)) {
            return self.gap(number);
        }
        tracing::debug!(%error, "A page of unwind rows could not be built");
        metrics::page(error.outcome());
        self.refused.insert(number, Instant::now() + REFUSED_FOR);
    }

    /// Publishes a page whose tables cannot be read as one without tables.
    fn gap(&mut self, number: u32) {
        metrics::page("no_tables");
        self.tables.publish_gap(number);
    }

    fn log_cut_off(&self, file: FileIdentity) {
        let path = self.met.get(&file).and_then(|met| met.file.as_ref()).map(|file| file.path.display());
        metrics::file("too_many_rules");
        tracing::warn!(
            path = path.map(tracing::field::display),
            "A file's unwind tables need so many rules that there is no room for others: stacks in it follow frame \
             pointers."
        );
    }

    fn ask_again(&mut self, now: Instant) {
        let tables = &mut self.tables;
        self.refused.retain(|number, due| {
            let again = *due <= now;
            if again {
                tables.ask_again(*number);
            }
            !again
        });
    }
}

/// The number of a page that a walk asks for, as `ebpf/rows.bpf.h` writes it.
fn page_number(record: &[u8]) -> Option<u32> {
    let (number, _) = record.split_first_chunk()?;
    u32::try_from(u64::from_ne_bytes(*number)).ok()
}
