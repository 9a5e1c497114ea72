//! Events: what a batch holds.

use std::ops::Deref;
use std::sync::Arc;

use crate::{Census, KTime, Loss, ProcessEvent, Sample};

/// An event: something that the kernel saw.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stack that the kernel side captured.
    Sample(Sample),
    /// A process began, changed or ended.
    Process(ProcessEvent),
    /// The number of records that were lost in a span of time, with the reason.
    Loss(Loss),
    /// The processes that there are.
    Census(Arc<Census>),
}

impl Event {
    /// The event's place in kernel order.
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

/// Events in kernel-time order, and the number of samples among them. The samples are counted once, when the list is
/// made: every stage wants to know the number. Each method that changes the list later keeps the number right, or
/// cannot change it.
#[derive(Clone, Debug, Default)]
pub struct Events {
    all: Vec<Event>,
    samples: u64,
}

impl Events {
    /// The number of samples among the events.
    #[must_use]
    pub fn sample_count(&self) -> u64 {
        self.samples
    }

    /// The events, for a stage that fills something in. Each must stay of its kind.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Event] {
        &mut self.all
    }

    /// Puts losses before everything else.
    pub(crate) fn insert_losses(&mut self, losses: impl IntoIterator<Item = Loss>) {
        self.all.splice(..0, losses.into_iter().map(Event::Loss));
    }
}

impl Deref for Events {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.all
    }
}

impl From<Vec<Event>> for Events {
    fn from(all: Vec<Event>) -> Self {
        let samples = all.iter().fold(0, |count, event| count + u64::from(matches!(event, Event::Sample(_))));
        Self { all, samples }
    }
}

impl From<Events> for Vec<Event> {
    fn from(events: Events) -> Self {
        events.all
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<T: IntoIterator<Item = Event>>(events: T) -> Self {
        let mut samples = 0;
        let count = |event: &Event| samples += u64::from(matches!(event, Event::Sample(_)));
        let all = events.into_iter().inspect(count).collect();
        Self { all, samples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, ClockOffset, LossReason, Watermark};

    fn loss(at: u64) -> Loss {
        let at = KTime::from_nanos(at);
        Loss { from: at, until: at, reason: LossReason::SampleRingFull, count: 1 }
    }

    fn event(is_sample: bool) -> Event {
        if is_sample { Event::Sample(Sample::default()) } else { Event::Loss(loss(7)) }
    }

    fn counted(events: &Events) -> u64 {
        events.iter().filter(|event| matches!(event, Event::Sample(_))).count() as u64
    }

    /// The number is that of the list's samples, however the list is made or changed, and a holder of a shared list
    /// keeps its own.
    #[test]
    fn the_number_of_samples_is_right() {
        for (samples, others, losses) in [(0, 0, 0), (0, 0, 2), (3, 0, 1), (0, 3, 0), (5, 2, 3)] {
            let kinds = || (0..samples).map(|_| true).chain((0..others).map(|_| false));
            assert_eq!(kinds().map(event).collect::<Events>().sample_count(), samples);
            let mut batch = Batch::new(kinds().map(event).collect(), Watermark::NONE, ClockOffset::default());
            let shared = batch.clone();
            batch.report_losses((0..losses).map(loss));
            assert_eq!((batch.sample_count(), counted(&batch.events)), (samples, samples));
            assert_eq!(batch.events.len() as u64, samples + others + losses);
            let first = batch.events.first().map(Event::at);
            assert!(losses == 0 || first == Some(KTime::ZERO), "losses come first");
            assert_eq!(Arc::ptr_eq(&shared.events, &batch.events), losses == 0);
            assert_eq!(shared.into_events().len() as u64, samples + others);
        }
    }
}
