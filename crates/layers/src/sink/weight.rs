//! The memory that a batch holds.

use std::mem::size_of;

use pdata::{Batch, Event};

/// Bytes that are freed with the batch, nearly: of values that it shares with others (images, mappings) its share.
/// Never zero.
pub(crate) fn weight(batch: &Batch) -> usize {
    size_of::<Batch>() + weight_of(&batch.events)
}

/// Bytes that are freed with these events, by the same rule.
pub(super) fn weight_of(events: &[Event]) -> usize {
    events.iter().map(|event| size_of::<Event>() + event.share()).sum()
}
