//! How much memory a batch holds.

use std::mem::size_of;

use pdata::{Batch, Event};

/// Bytes that go when the batch goes, nearly: of what it shares with others (images, mappings) its share.
/// Never zero.
pub(crate) fn weight(batch: &Batch) -> usize {
    size_of::<Batch>() + weight_of(&batch.events)
}

/// Bytes that go when these events go, likewise.
pub(super) fn weight_of(events: &[Event]) -> usize {
    events.iter().map(|event| size_of::<Event>() + event.share()).sum()
}
