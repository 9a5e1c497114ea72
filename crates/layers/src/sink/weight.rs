//! How much memory a batch holds.

use std::mem::size_of;

use pdata::{Batch, Event, Frame, ProcessTransition};

/// What an event that names an executable holds beside itself. An estimate, on the high side.
const EXECUTABLE: usize = 256;

/// Bytes that go when the batch goes, nearly: what it shares with others (images, mappings) not included.
/// Never zero.
pub(crate) fn weight(batch: &Batch) -> usize {
    size_of::<Batch>() + weight_of(&batch.events)
}

/// Bytes that go when these events go, likewise.
pub(super) fn weight_of(events: &[Event]) -> usize {
    let beside = |event: &Event| match event {
        Event::Sample(sample) => sample.stack.frames.len() * size_of::<Frame>(),
        Event::Process(event) => match event.transition {
            ProcessTransition::Seen { .. } | ProcessTransition::Exec { .. } => EXECUTABLE,
            _ => 0,
        },
        Event::Loss(_) => 0,
        Event::Census(census) => size_of_val(&*census.processes),
    };
    events.iter().map(|event| size_of::<Event>() + beside(event)).sum()
}
