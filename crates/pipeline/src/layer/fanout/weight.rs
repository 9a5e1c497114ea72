//! How much memory a batch holds.

use std::mem::size_of;

use pdata::{Batch, Event, Frame};

/// What a process or mapping event holds beside itself: paths, names. An estimate, on the high side.
const BESIDE_EVENT: usize = 512;

/// Bytes that go when the batch goes, nearly: what it shares with others (images, mappings) not included.
/// Never zero.
pub(super) fn weight(batch: &Batch) -> usize {
    let beside = |event: &Event| match event {
        Event::Sample(sample) => sample.stack.0.len() * size_of::<Frame>(),
        Event::Process(_) | Event::Mapping(_) => BESIDE_EVENT,
        Event::Loss(_) => 0,
    };
    let events: usize = batch.events.iter().map(|event| size_of::<Event>() + beside(event)).sum();
    size_of::<Batch>() + events
}
