//! The threads that read on the processor's behalf: files at first sight, and `/proc` for processes whose records were
//! lost. Reading blocks, so it happens nowhere else.

mod files;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use componentstatus::Status;
use foreignfile::{Files, Quarantine};
use pdata::{ImageKey, KTime};
use procfs::{ContextLook, ProcError, ProcSource, PublishedContext, Snapshot, clock};

use self::files::FileReader;
use crate::context_watch::{ContextFound, Published};
use crate::request::{FileRequest, ProcessRequest, ReadRequest, Reads};
use crate::{metrics, process_context};

/// The most requests that may wait; one more is refused, counted, and made again at a later sight.
const QUEUE: usize = 4096;
/// The most processes that may wait for a search for their contexts: the others have their turn at a later search.
const CONTEXT_QUEUE: usize = 256;
/// The most answers that may wait: as many as requests, so that an answer is never refused.
const ANSWERS: usize = QUEUE + CONTEXT_QUEUE;
/// The longest time between two searches for file systems that may be asked again.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Time without requests after which the process that reads files is ended.
const REST_AFTER: Duration = Duration::from_secs(60);

/// The answer to a request about a process.
#[derive(Debug)]
pub(crate) struct ProcessAnswer {
    pub(crate) image: ImageKey,
    /// An instant by which the reading was over.
    pub(crate) before: KTime,
    pub(crate) outcome: Looked,
}

/// The kind and the outcome of a reading.
#[derive(Debug)]
pub(crate) enum Looked {
    /// Facts of a process of which a record was lost.
    Process(Result<Snapshot, ProcError>),
    /// Variables of the process's environment, and its arguments.
    Environment(Result<(Vec<u8>, Vec<u8>), ProcError>),
    /// The context that the process has published of itself.
    Context(Result<ContextFound, ProcError>),
}

/// The reading threads' other end. The threads end when this value is dropped.
///
/// Files and processes are read by a thread each: a look into `/proc` has its answer at once, a file may take its time.
#[derive(Debug)]
pub(crate) struct ReaderThreads {
    files: SyncSender<FileRequest>,
    processes: SyncSender<ReadRequest>,
    contexts: SyncSender<(ProcessRequest, Option<(u64, u64)>)>,
    answers: Receiver<ProcessAnswer>,
}

impl ReaderThreads {
    /// Starts the threads. Files that cannot be read are shown in `status`; of environments only variables of these
    /// names are read.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(crate) fn start(source: ProcSource, status: Arc<Status>, variables: &[String]) -> io::Result<Self> {
        let (files, files_asked) = sync_channel(QUEUE);
        let (processes, processes_asked) = sync_channel(QUEUE);
        let (answer, answers) = sync_channel(ANSWERS);
        let (contexts, contexts_asked) = sync_channel(CONTEXT_QUEUE);
        let (other, third, context_answer) = (source.clone(), source.clone(), answer.clone());
        let threads = thread::Builder::new().name("procinfo-reader".to_owned());
        threads.spawn(move || serve_files(&source, &files_asked, &status))?;
        let threads = thread::Builder::new().name("procinfo-repair".to_owned());
        let prefixes: Vec<String> = variables.iter().map(|name| format!("{name}=")).collect();
        threads.spawn(move || serve_processes(&other, &prefixes, &processes_asked, &answer))?;
        let threads = thread::Builder::new().name("procinfo-context".to_owned());
        threads.spawn(move || serve_contexts(&third, &contexts_asked, &context_answer))?;
        Ok(Self { files, processes, contexts, answers })
    }

    /// The next answer, if there is one.
    pub(crate) fn answer(&self) -> Option<ProcessAnswer> {
        self.answers.try_recv().ok()
    }
}

impl Reads for ReaderThreads {
    fn ask(&mut self, request: ReadRequest) -> bool {
        match request {
            ReadRequest::File(request) => {
                let asked = self.files.try_send(request).is_ok();
                if !asked {
                    metrics::file_read("queue_full");
                }
                asked
            }
            request @ ReadRequest::Process(_) => {
                let asked = self.processes.try_send(request).is_ok();
                if !asked {
                    metrics::repair("queue_full");
                }
                asked
            }
            ReadRequest::Context(request, known) => {
                let asked = self.contexts.try_send((request, known)).is_ok();
                if !asked {
                    metrics::context_look("queue_full");
                }
                asked
            }
            request @ ReadRequest::Environment(_) => {
                let asked = self.processes.try_send(request).is_ok();
                if !asked {
                    metrics::environment_read("queue_full");
                }
                asked
            }
        }
    }
}

fn serve_files(source: &ProcSource, asked: &Receiver<FileRequest>, status: &Status) {
    let quarantine = Quarantine::of_this_process();
    let mut reader = FileReader::new(Files::new(Arc::clone(&quarantine)));
    let (mut idle, mut failed) = (Duration::ZERO, false);
    loop {
        match asked.recv_timeout(LOOK_EVERY) {
            Ok(request) => {
                idle = Duration::ZERO;
                metrics::file_read(reader.read(source, &request).as_str());
            }
            Err(RecvTimeoutError::Timeout) => idle += LOOK_EVERY,
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if idle >= REST_AFTER {
            reader.rest();
        }
        let skipped = quarantine.skipped();
        metrics::skipped_file_systems(skipped.len());
        if !skipped.is_empty() {
            status.failed(&format!("not answering: {}", skipped.join(", ")));
        } else if failed {
            status.succeeded();
        }
        failed = !skipped.is_empty();
    }
}

fn serve_processes(
    source: &ProcSource,
    prefixes: &[String],
    asked: &Receiver<ReadRequest>,
    answer: &SyncSender<ProcessAnswer>,
) {
    let mut files = Files::new(Quarantine::of_this_process());
    loop {
        let request = match asked.recv_timeout(REST_AFTER) {
            Ok(request) => request,
            Err(RecvTimeoutError::Timeout) => {
                files.rest();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let (request, outcome) = match request {
            ReadRequest::Process(request) => {
                let snapshot = source.snapshot(&mut files, request.image.process, request.tid);
                (request, Looked::Process(snapshot))
            }
            ReadRequest::Environment(request) => {
                let (process, tid) = (request.image.process, request.tid);
                let given = source
                    .variables(&mut files, process, tid, prefixes)
                    .and_then(|variables| Ok((variables, source.arguments(&mut files, process, tid)?)));
                (request, Looked::Environment(given))
            }
            // Read by the other threads.
            ReadRequest::File(_) | ReadRequest::Context(..) => continue,
        };
        let answered = ProcessAnswer { image: request.image, before: clock::now(), outcome };
        if answer.send(answered).is_err() {
            return;
        }
    }
}

fn serve_contexts(
    source: &ProcSource,
    asked: &Receiver<(ProcessRequest, Option<(u64, u64)>)>,
    answer: &SyncSender<ProcessAnswer>,
) {
    let mut files = Files::new(Quarantine::of_this_process());
    loop {
        let (request, known) = match asked.recv_timeout(REST_AFTER) {
            Ok(request) => request,
            Err(RecvTimeoutError::Timeout) => {
                files.rest();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let look = source.process_context(&mut files, request.image.process, known);
        let found = look.map(|look| match look {
            ContextLook::Nothing => ContextFound::Nothing,
            ContextLook::Unchanged => ContextFound::Unchanged,
            ContextLook::Published(PublishedContext { address, published_at, payload }) => {
                let attributes = process_context::attributes(&payload);
                ContextFound::Published(Published { at: (address, published_at), attributes })
            }
        });
        let outcome = Looked::Context(found);
        if answer.send(ProcessAnswer { image: request.image, before: clock::now(), outcome }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
