//! The unit that travels from stage to stage.

use std::sync::Arc;

use crate::{Census, ClockOffset, KTime, Loss, ProcessEvent, Resource, Sample, Watermark};

/// Something the kernel saw.
#[derive(Clone, Debug)]
pub enum Event {
    /// A CPU was running this.
    Sample(Sample),
    /// A process began, changed or ended.
    Process(ProcessEvent),
    /// Records were lost.
    Loss(Loss),
    /// These processes there are.
    Census(Arc<Census>),
}

impl Event {
    /// Where the event stands in kernel order.
    #[must_use]
    pub fn at(&self) -> KTime {
        match self {
            Self::Sample(sample) => sample.at,
            Self::Process(event) => event.at,
            Self::Loss(loss) => loss.until,
            Self::Census(census) => census.at,
        }
    }
}

/// Events in kernel-time order, and the promise that no earlier one is still to come.
///
/// Cheap to clone: the events are shared, and copied only by a stage that changes them while
/// another still holds them. A batch may be empty: it then only moves the watermark.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Ordered by [`Event::at`]: each before this batch's watermark, and at or after the previous
    /// batch's unless it is late.
    pub events: Arc<Vec<Event>>,
    /// Every event stamped before it has been passed on, in this batch or an earlier one.
    pub watermark: Watermark,
    /// Wall clock against kernel clocks, measured when the batch was made.
    pub clock: ClockOffset,
    /// A request not to wait for a window to fill: what is held up to the watermark is to be delivered now.
    pub flush: bool,
    /// What every resource that leaves the agent has beside what is known of its process: which host it is of. Set by
    /// processors on the way, the same in all batches of a pipeline.
    pub resource: Arc<Resource>,
}

impl Batch {
    /// The events, for a stage that fills something in. Copies them only if they are shared.
    pub fn events_mut(&mut self) -> &mut Vec<Event> {
        Arc::make_mut(&mut self.events)
    }

    /// The samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.events.iter().filter_map(|event| match event {
            Event::Sample(sample) => Some(sample),
            _ => None,
        })
    }
}
