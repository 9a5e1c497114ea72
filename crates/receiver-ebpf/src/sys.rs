//! The perf sideband's system calls and shared memory: all that is unsafe here, behind a safe type.
#![allow(unsafe_code, reason = "perf_event_open and its ring have no safe binding")]

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::ptr::{NonNull, addr_of_mut, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

use perf_event_open_sys::bindings as perf;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::perf_record::HEADER_BYTES;

/// One CPU's ring of side events: mappings with build IDs, names, forks, exits.
#[derive(Debug)]
pub(crate) struct PerfRing {
    /// First a control page, then a power-of-two number of pages of records.
    base: NonNull<u8>,
    page_bytes: usize,
    data_bytes: usize,
    scratch: Vec<u8>,
    /// Keeps the event open.
    _event: OwnedFd,
}

// SAFETY: the mapping belongs to this value alone, and nothing about it is tied to a thread.
unsafe impl Send for PerfRing {}

/// The ring's bytes make no sense: everything in it had to be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled;

impl PerfRing {
    /// Opens and starts a side-event stream of all processes on `cpu`, with a ring of `data_bytes` (a power of two,
    /// and whole pages).
    pub(crate) fn open(cpu: u32, data_bytes: usize) -> io::Result<Self> {
        let mut attributes = attributes();
        let cpu = i32::try_from(cpu).map_err(io::Error::other)?;
        let flags = perf::PERF_FLAG_FD_CLOEXEC.into();
        // SAFETY: `attributes` is a valid perf_event_attr that states its own size.
        let fd = unsafe { perf_event_open_sys::perf_event_open(&mut attributes, -1, cpu, -1, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: perf_event_open returned this descriptor just now; nobody else has it.
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        let page_bytes = rustix::param::page_size();
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping of a descriptor we own, at an address of the kernel's choice.
        let base = unsafe { mmap(null_mut(), page_bytes + data_bytes, protection, flags, event.as_fd(), 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, page_bytes, data_bytes, scratch: Vec::new(), _event: event })
    }

    /// Hands over each record that is complete now, oldest first.
    ///
    /// # Errors
    /// [`Garbled`] if a record's size is impossible; the rest of the ring is then skipped.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Garbled> {
        let head = self.head().load(Ordering::Acquire);
        let mut tail = self.tail().load(Ordering::Relaxed);
        let mut outcome = Ok(());
        while tail < head {
            let mut header = [0; HEADER_BYTES];
            self.copy(tail, &mut header);
            let [.., low, high] = header;
            let size = u16::from_ne_bytes([low, high]);
            if usize::from(size) < HEADER_BYTES || head - tail < u64::from(size) {
                outcome = Err(Garbled);
                tail = head;
                break;
            }
            let mut record = std::mem::take(&mut self.scratch);
            record.resize(size.into(), 0);
            self.copy(tail, &mut record);
            each(&record);
            self.scratch = record;
            tail += u64::from(size);
        }
        // Only now may the kernel write over what was read.
        self.tail().store(tail, Ordering::Release);
        outcome
    }

    /// Copies the bytes at a position that only ever grows, around the ring's end if need be.
    fn copy(&self, position: u64, into: &mut [u8]) {
        // The remainder of a division by a usize fits a usize.
        let start = usize::try_from(position % self.data_bytes as u64).unwrap_or(0);
        let (first, second) = into.split_at_mut(into.len().min(self.data_bytes - start));
        let second_len = second.len().min(self.data_bytes);
        // SAFETY: both ranges lie within the data pages; the kernel does not write between tail and head.
        unsafe {
            let data = self.base.add(self.page_bytes);
            data.add(start).copy_to_nonoverlapping(NonNull::from(&mut *first).cast(), first.len());
            data.copy_to_nonoverlapping(NonNull::from(&mut *second).cast(), second_len);
        }
    }

    fn head(&self) -> &AtomicU64 {
        let page = self.base.cast::<perf::perf_event_mmap_page>().as_ptr();
        // SAFETY: the first page is a perf_event_mmap_page for as long as `self`; the field is aligned.
        unsafe { AtomicU64::from_ptr(addr_of_mut!((*page).data_head)) }
    }

    fn tail(&self) -> &AtomicU64 {
        let page = self.base.cast::<perf::perf_event_mmap_page>().as_ptr();
        // SAFETY: as for `head`.
        unsafe { AtomicU64::from_ptr(addr_of_mut!((*page).data_tail)) }
    }
}

impl Drop for PerfRing {
    fn drop(&mut self) {
        // SAFETY: the range `open` mapped, and nothing borrows from it any more.
        if let Err(error) = unsafe { munmap(self.base.as_ptr().cast(), self.page_bytes + self.data_bytes) } {
            tracing::warn!(%error, "a perf ring could not be unmapped");
        }
    }
}

/// A software event that never counts, opened for the side events that come with it.
fn attributes() -> perf::perf_event_attr {
    let mut attributes = perf::perf_event_attr::default();
    // As large as the bindings know it; far below 4 GiB.
    attributes.size = u32::try_from(size_of_val(&attributes)).unwrap_or(0);
    attributes.type_ = perf::PERF_TYPE_SOFTWARE;
    attributes.config = perf::PERF_COUNT_SW_DUMMY.into();
    attributes.sample_type = (perf::PERF_SAMPLE_TID | perf::PERF_SAMPLE_TIME | perf::PERF_SAMPLE_CPU).into();
    attributes.set_sample_id_all(1);
    attributes.set_mmap(1);
    attributes.set_mmap2(1);
    attributes.set_build_id(1);
    attributes.set_comm(1);
    attributes.set_comm_exec(1);
    attributes.set_task(1);
    // The clock of bpf_ktime_get_ns.
    attributes.set_use_clockid(1);
    attributes.clockid = 1; // CLOCK_MONOTONIC
    attributes
}
