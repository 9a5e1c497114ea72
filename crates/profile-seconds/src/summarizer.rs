//! Seconds made of batches.

use pdata::{Batch, Event, KTime, ProcessTransition, Sample, Watermark};

use crate::gathering::Gathering;
use crate::known::Known;
use crate::losses::LostRecords;
use crate::second::Second;

const NANOS: u64 = 1_000_000_000;

/// Makes summaries of seconds from batches.
///
/// A second is complete once the watermark has passed its end. A later event counts for the second that is open then.
/// No summary is made of a second without any event or batch, nor of the first one, whose beginning is missing; records
/// that were lost in the first one count for the second after it.
#[derive(Clone, Debug, Default)]
pub struct Summarizer {
    open: Option<Gathering>,
    /// True if the open second was gathered from its beginning.
    is_whole: bool,
    known: Known,
    /// Highest watermark so far, apart from the final [`Watermark::END`].
    seen: Option<KTime>,
}

impl Summarizer {
    /// Adds a batch; returns the seconds that are complete, in order.
    pub fn take(&mut self, batch: &Batch) -> Vec<Second> {
        let mut complete = Vec::new();
        for event in batch.events.iter() {
            complete.extend(self.reach(event.at()));
            self.event(event);
        }
        if batch.watermark == Watermark::END {
            complete.extend(self.open.take().filter(|_| self.is_whole).map(Gathering::finish));
        } else if batch.watermark != Watermark::NONE {
            self.seen = self.seen.max(Some(batch.watermark.at()));
            complete.extend(self.reach(batch.watermark.at()));
        }
        complete
    }

    /// The records that were lost in the open second, by reason: no summary of it will be made.
    #[must_use]
    pub fn into_losses(self) -> Vec<LostRecords> {
        self.open.map(|open| open.losses()).unwrap_or_default()
    }

    /// The watermark before which all events have come; `None` before the first batch.
    #[must_use]
    pub fn seen(&self) -> Option<KTime> {
        self.seen
    }

    /// Opens the second of an instant; returns the second before, if it is complete now.
    fn reach(&mut self, at: KTime) -> Option<Second> {
        let number = at.as_nanos() / NANOS;
        match &self.open {
            Some(open) if open.number >= number => None,
            _ => {
                self.known.forget(number);
                let before = self.open.take();
                let was_whole = std::mem::replace(&mut self.is_whole, before.is_some());
                let (before, cut) = if was_whole { (before, None) } else { (None, before) };
                self.open = Some(Gathering::behind(cut, number));
                before.map(Gathering::finish)
            }
        }
    }

    fn event(&mut self, event: &Event) {
        let Some(open) = &mut self.open else { return };
        match event {
            Event::Sample(sample) => {
                note(&mut self.known, sample, open.number);
                open.sample(sample);
            }
            Event::Loss(loss) => open.loss(loss),
            Event::Process(event) => {
                let ends = matches!(event.transition, ProcessTransition::Exit | ProcessTransition::Freed);
                if ends && self.known.ends(event.image.process) {
                    open.gone(event.image.process);
                }
            }
            Event::Census(census) => {
                self.known.missing(census).into_iter().for_each(|process| open.gone(process));
            }
        }
    }
}

fn note(known: &mut Known, sample: &Sample, second: u64) {
    known.saw(sample.key.process, sample.at, second);
    for parent in sample.image.iter().flat_map(|image| image.parents.iter()) {
        known.saw(parent.process, sample.at, second);
    }
}
