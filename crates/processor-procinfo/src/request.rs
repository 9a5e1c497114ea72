//! Requests to read what user space must read, from the processor to the thread that reads.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use pdata::{ImageKey, MappedFile, Pc, ProcessKey, Tid};

/// How often a file is tried to be read at most: a lost race is tried again at a later sight, when
/// another process has the file mapped.
pub(crate) const MAX_TRIES: u8 = 16;

/// Something to be read.
#[derive(Debug)]
pub(crate) enum ReadRequest {
    /// A file, at first sight.
    File(FileRequest),
    /// A process of which a record was lost.
    Process(ProcessRequest),
    /// What a process may have published of itself, and where and when it had when somebody looked last.
    Context(ProcessRequest, Option<(u64, u64)>),
    /// The environment of a process that began before anybody looked.
    Environment(ProcessRequest),
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
    /// The image that is not known, or not enough of it.
    pub(crate) image: ImageKey,
    /// A thread that ran it.
    pub(crate) tid: Tid,
}

/// The thread that requests go to, or its stand-in in a test.
pub(crate) trait Reads {
    /// Passes a request on; false if it cannot be taken now.
    fn ask(&mut self, request: ReadRequest) -> bool;
}

/// How far the reading of one file has come; shared by who asks and who reads.
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

    /// The request could not be passed on, or nothing came of it that counts as a try.
    pub(crate) fn withdraw(&self) {
        self.pending.store(false, Ordering::Relaxed);
    }

    /// The file has been tried; unless that gave its facts, it may be tried again.
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
