//! The thread that reads what user space must read: files at first sight, and `/proc` for processes
//! whose records were lost. Reading blocks, so it happens nowhere else.

mod files;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use pdata::{ImageKey, KTime};
use procfs::{ProcError, ProcSource, Snapshot, clock};

use self::files::FileReader;
use crate::metrics;
use crate::request::{ReadRequest, Reads};

/// Requests that wait at most; one more is refused, counted, and made again at a later sight.
const QUEUE: usize = 4096;
/// Answers that wait at most. As many as requests, so that an answer is never refused.
const ANSWERS: usize = QUEUE;

/// What looking at a process gave.
#[derive(Debug)]
pub(crate) struct ProcessAnswer {
    pub(crate) image: ImageKey,
    /// The looking was over by then.
    pub(crate) before: KTime,
    pub(crate) outcome: Result<Snapshot, ProcError>,
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
                let answered = ProcessAnswer { image: request.image, before: clock::now(), outcome };
                if answer.send(answered).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
