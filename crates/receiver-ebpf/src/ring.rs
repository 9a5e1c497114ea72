//! Drains the BPF rings.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapData, RingBuf};

/// Bytes of the kernel's header before each record (`BPF_RINGBUF_HDR_SZ`).
const RECORD_HEADER_BYTES: usize = 8;

/// A BPF ring and its size.
pub(crate) struct Ring {
    ring: RingBuf<MapData>,
    bytes: usize,
}

impl Ring {
    /// A ring of `bytes` bytes.
    pub(crate) fn new(ring: RingBuf<MapData>, bytes: u32) -> Self {
        Self { ring, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) }
    }

    /// Calls `each` with every complete record.
    ///
    /// The call ends when the ring is empty, when the next record is still being written, or after one whole ring's
    /// worth of bytes: all records that were there when it began have then been read, however fast the producers are.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        let mut budget = self.bytes;
        while budget > 0 {
            let Some(record) = self.ring.next() else { return };
            budget = budget.saturating_sub(record.len() + RECORD_HEADER_BYTES);
            each(&record);
        }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
