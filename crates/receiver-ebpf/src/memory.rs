//! Memory shared with the kernel side.
#![allow(unsafe_code, reason = "mmap has no safe binding")]

use std::ffi::c_void;
use std::io;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aya::maps::Map;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Memory that a file stands for, such as a BPF array made with `BPF_F_MMAPABLE`: whole words that others read and
/// write at the same time.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    start: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread, and its words are only ever accessed as atomics.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Maps the first `bytes` bytes of a file.
    ///
    /// # Errors
    /// The error of mmap(2).
    pub(crate) fn map(file: &impl AsFd, bytes: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice takes the place of no other.
        let start = unsafe { mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, file.as_fd(), 0) }?;
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }

    /// Maps the elements of a BPF array.
    ///
    /// # Errors
    /// Errors of [`map`](Self::map); also `InvalidInput` if `map` is no array.
    pub(crate) fn of_array(map: &Map, bytes: usize) -> io::Result<Self> {
        match map {
            Map::Array(data) => Self::map(&data.fd(), bytes),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the BPF map is no array")),
        }
    }

    /// Stores a word of 64 bits: a reader of the word sees all words stored before it. Beyond the end the call does
    /// nothing.
    pub(crate) fn publish(&self, index: usize, word: u64) {
        if let Some(place) = self.words_64().get(index) {
            place.store(word, Ordering::Release);
        }
    }

    /// Reads a word of 64 bits, counted in such words; 0 beyond the end.
    pub(crate) fn word_64(&self, index: usize) -> u64 {
        self.words_64().get(index).map_or(0, |place| place.load(Ordering::Acquire))
    }

    /// Reads a word of 32 bits, counted in such words; 0 beyond the end.
    pub(crate) fn word_32(&self, index: usize) -> u32 {
        self.words_32().get(index).map_or(0, |place| place.load(Ordering::Relaxed))
    }

    /// Stores words of 32 bits from `index` on, as far as there is room: a [`publish`](Self::publish) has to follow.
    pub(crate) fn write(&self, index: usize, words: impl Iterator<Item = u32>) {
        let places = self.words_32().get(index..).unwrap_or_default();
        places.iter().zip(words).for_each(|(place, word)| place.store(word, Ordering::Relaxed));
    }

    fn words_64(&self) -> &[AtomicU64] {
        // SAFETY: a mapping of that size starts at a page, is initialised, and lives as long as `self`; atomics may be
        // shared with others who have mapped it.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.bytes / size_of::<AtomicU64>()) }
    }

    fn words_32(&self) -> &[AtomicU32] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.bytes / size_of::<AtomicU32>()) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made; no reference to it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "the range is one that was mapped");
    }
}
