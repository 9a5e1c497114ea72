//! Requests from the processor to the threads that read on its behalf.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use pdata::{ImageKey, MappedFile, Pc, ProcessKey, Tid};

/// The most attempts to read a file: after a lost race the file is tried again at a later sight, when another process
/// has it mapped.
pub(crate) const MAX_TRIES: u8 = 16;

/// A request to read something.
#[derive(Debug)]
pub(crate) enum ReadRequest {
    /// A file to be read, at first sight.
    File(FileRequest),
    /// A process to be read, of which a record was lost.
    Process(ProcessRequest),
    /// A process to be searched for the context that it may have published of itself, with the address and time of the
    /// one known.
    Context(ProcessRequest, Option<(u64, u64)>),
    /// A process whose environment is to be read, since it began before the agent saw it.
    Environment(ProcessRequest),
}

/// A request for a file that a process has mapped.
#[derive(Debug)]
pub(crate) struct FileRequest {
    /// The file that gets the facts; nobody needs them any more if nobody refers to it.
    pub(crate) file: Weak<MappedFile>,
    pub(crate) reading: Arc<Reading>,
    /// The process in whose view the file is opened.
    pub(crate) process: ProcessKey,
    /// First address of the mapping and the one after it.
    pub(crate) range: (Pc, Pc),
}

/// A request about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessRequest {
    /// The image that is not known, or of which facts are missing.
    pub(crate) image: ImageKey,
    /// A thread that ran the image.
    pub(crate) tid: Tid,
}

/// The thread that requests go to, or its stand-in in a test.
pub(crate) trait Reads {
    /// Passes a request on; false if it cannot be taken now.
    fn ask(&mut self, request: ReadRequest) -> bool;
}

/// The progress of reading one file; shared by the code that asks and the thread that reads.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pending: AtomicBool,
    tries: AtomicU8,
}

impl Reading {
    /// True if the caller is to ask for the file.
    pub(crate) fn begin(&self) -> bool {
        self.tries.load(Ordering::Relaxed) < MAX_TRIES && !self.pending.swap(true, Ordering::Relaxed)
    }

    /// Notes that the request could not be passed on, or had no outcome that counts as a try.
    pub(crate) fn withdraw(&self) {
        self.pending.store(false, Ordering::Relaxed);
    }

    /// Notes that the file has been tried; unless that yielded its facts, it may be tried again.
    pub(crate) fn finish(&self) {
        self.tries.fetch_add(1, Ordering::Relaxed);
        self.pending.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Reads for Vec<ReadRequest> {
    fn ask(&mut self, request: ReadRequest) -> bool {
        self.push(request);
        true
    }
}

/// A reader that takes no request.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Refuse;

#[cfg(test)]
impl Reads for Refuse {
    fn ask(&mut self, _request: ReadRequest) -> bool {
        false
    }
}
