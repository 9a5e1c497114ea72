//! What is recorded, while it is gathered.

use pdata::{Batch, Event, ProcessKey};
use procfs::clock;
use profile_formats::{GatherSettings, Gatherer, Profile};
use selection::Scope;
use terminal::Tally;
use windows::Gather as _;

use crate::builtin::Collect;

/// What is recorded, while it is gathered: the profile, and what of it is shown in the terminal.
#[derive(Debug)]
pub(super) struct Recording {
    /// Of process events, all of the machine come this far.
    scope: Scope,
    profile: Gatherer,
    tally: Tally,
}

impl Recording {
    /// A recording of `scope`, which has seen nothing yet.
    pub(super) fn new(scope: Scope, settings: GatherSettings) -> Self {
        Self { scope, profile: Gatherer::new(clock::offset(), settings), tally: Tally::default() }
    }

    /// The processes that it is of and that have not ended, if it is of processes.
    pub(super) fn running(&self) -> Vec<ProcessKey> {
        self.scope.running()
    }

    /// The recording from `from` to `until`, and its figures.
    pub(super) fn finish(self, from: pdata::KTime, until: pdata::KTime) -> (Profile, Tally) {
        (self.profile.finish(from, until), self.tally)
    }
}

impl Collect for Recording {
    fn take(&mut self, batch: &Batch) {
        for event in batch.events.iter().filter(|event| self.scope.concerns(event)) {
            match event {
                Event::Sample(sample) => {
                    self.profile.sample(sample);
                    self.tally.sample(sample);
                }
                Event::Loss(loss) => {
                    self.profile.loss(loss);
                    self.tally.loss(loss);
                }
                Event::Process(event) => self.profile.process(event),
                Event::Census(_) => {}
            }
        }
        self.scope.end_batch();
    }
}
