//! The one call that has no safe binding.
#![allow(unsafe_code, reason = "a mapping has no safe interface")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapping of the first page of a file, which nobody may read, write or run. Ends with this value.
#[derive(Debug)]
pub(crate) struct Page {
    start: *mut c_void,
    bytes: usize,
}

impl Page {
    /// Maps a page of the file, even of an empty one.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        let bytes = rustix::param::page_size();
        // SAFETY: a mapping at an address of the kernel's choice, so over nothing that is in use.
        let start = unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE, file, 0) }?;
        Ok(Self { start, bytes })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> u64 {
        self.start.addr() as u64
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the range that `map` has mapped; its address is given to nobody as a pointer.
        let _unmapped = unsafe { munmap(self.start, self.bytes) };
    }
}
