//! The thread that reads what user space must read: files at first sight, and `/proc` for processes
//! whose records were lost. Reading blocks, so it happens nowhere else.

mod files;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;

use pdata::{ImageKey, KTime, MappedFile, Pc, ProcessKey, Tid};
use procfs::{ProcError, ProcSource, Snapshot, now};

use self::files::FileReader;
use crate::files::Reading;
use crate::metrics;

/// Requests that wait at most; one more is refused, counted, and made again at a later sight.
const QUEUE: usize = 4096;
/// Answers that wait at most. As many as requests, so that an answer is never refused.
const ANSWERS: usize = QUEUE;

/// Something to be read.
#[derive(Debug)]
pub(crate) enum ReadRequest {
    /// A file, at first sight.
    File(FileRequest),
    /// A process of which a record was lost.
    Process(ProcessRequest),
}

/// A file to be read, as a process has it mapped.
#[derive(Debug)]
pub(crate) struct FileRequest {
    /// Where its facts go; not needed any more if nobody refers to it.
    pub(crate) file: Weak<MappedFile>,
    pub(crate) reading: Arc<Reading>,
    /// Through whose eyes.
    pub(crate) process: ProcessKey,
    /// First address of the mapping and the one after it.
    pub(crate) range: (Pc, Pc),
}

/// A process to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessRequest {
    /// The image that is not known.
    pub(crate) image: ImageKey,
    /// A thread that ran it.
    pub(crate) tid: Tid,
}

/// What looking at a process gave.
#[derive(Debug)]
pub(crate) struct ProcessAnswer {
    pub(crate) image: ImageKey,
    /// The looking was over by then.
    pub(crate) before: KTime,
    pub(crate) outcome: Result<Snapshot, ProcError>,
}

/// The thread that requests go to, or its stand-in in a test.
pub(crate) trait Reads {
    /// Passes a request on; false if it cannot be taken now.
    fn ask(&mut self, request: ReadRequest) -> bool;
}

/// The reading thread's other end. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ReaderThread {
    requests: SyncSender<ReadRequest>,
    answers: Receiver<ProcessAnswer>,
}

impl ReaderThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(crate) fn start(source: ProcSource) -> io::Result<Self> {
        let (requests, asked) = sync_channel(QUEUE);
        let (answer, answers) = sync_channel(ANSWERS);
        let name = "procinfo-reader".to_owned();
        thread::Builder::new().name(name).spawn(move || serve(&source, &asked, &answer))?;
        Ok(Self { requests, answers })
    }

    /// The next answer that is there.
    pub(crate) fn answer(&self) -> Option<ProcessAnswer> {
        self.answers.try_recv().ok()
    }
}

impl Reads for ReaderThread {
    fn ask(&mut self, request: ReadRequest) -> bool {
        let Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) =
            self.requests.try_send(request)
        else {
            return true;
        };
        match request {
            ReadRequest::File(_) => metrics::file_read("queue_full"),
            ReadRequest::Process(_) => metrics::repair("queue_full"),
        }
        false
    }
}

fn serve(source: &ProcSource, asked: &Receiver<ReadRequest>, answer: &SyncSender<ProcessAnswer>) {
    let mut files = FileReader::default();
    for request in asked {
        match request {
            ReadRequest::File(request) => metrics::file_read(files.read(source, &request).as_str()),
            ReadRequest::Process(request) => {
                let outcome = source.snapshot(request.image.process, request.tid);
                let answered = ProcessAnswer { image: request.image, before: now(), outcome };
                if answer.send(answered).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
impl Reads for Vec<ReadRequest> {
    fn ask(&mut self, request: ReadRequest) -> bool {
        self.push(request);
        true
    }
}

/// Takes no request.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Refuse;

#[cfg(test)]
impl Reads for Refuse {
    fn ask(&mut self, _request: ReadRequest) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
