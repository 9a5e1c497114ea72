//! Batches: the unit that travels from stage to stage.

use std::sync::Arc;

use crate::{ClockOffset, Event, Events, Loss, Resource, Sample, Watermark};

/// Events in kernel-time order, and the promise that no earlier one is still to come.
///
/// Cheap to clone: the events are shared, and copied only by a stage that changes them while another still holds them.
/// An empty batch only moves the watermark.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events ordered by [`Event::at`]: each before this batch's watermark, and at or after the previous batch's unless
    /// it is late.
    pub events: Arc<Events>,
    /// The instant before which every event has been passed on, in this batch or an earlier one.
    pub watermark: Watermark,
    /// Wall clock against kernel clocks, measured when the batch was made.
    pub clock: ClockOffset,
    /// A request not to wait for a window to fill: events held up to the watermark are to be delivered now.
    pub flush: bool,
    /// Attributes of every resource that leaves the agent, beside the facts of its process: those of the host, for one.
    /// Set by processors on the way, the same in all batches of a pipeline.
    pub resource: Arc<Resource>,
}

impl Batch {
    /// A batch of these events that no stage has to deliver before its window is full.
    #[must_use]
    pub fn new(events: Vec<Event>, watermark: Watermark, clock: ClockOffset) -> Self {
        Self { events: Arc::new(events.into()), watermark, clock, ..Self::default() }
    }

    /// The events, for a stage that fills something in; each must stay of its kind. The events are copied only if they
    /// are shared.
    pub fn events_mut(&mut self) -> &mut [Event] {
        Arc::make_mut(&mut self.events).as_mut_slice()
    }

    /// Takes the events out of the batch. The events are copied only if they are shared.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        Arc::unwrap_or_clone(self.events).into()
    }

    /// Reports losses at the head of the batch: none of them may be later than the batch's first event.
    pub fn report_losses(&mut self, losses: impl IntoIterator<Item = Loss>) {
        let mut losses = losses.into_iter().peekable();
        if losses.peek().is_some() {
            Arc::make_mut(&mut self.events).insert_losses(losses);
        }
    }

    /// The samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.events.iter().filter_map(|event| match event {
            Event::Sample(sample) => Some(sample),
            _ => None,
        })
    }

    /// The number of samples in the batch. It is kept, not counted anew.
    #[must_use]
    pub fn sample_count(&self) -> u64 {
        self.events.sample_count()
    }
}
