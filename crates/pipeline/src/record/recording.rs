//! The data of a recording while it is gathered.

use pdata::{Batch, Event, ProcessKey};
use procfs::clock;
use profile_formats::{GatherSettings, Gatherer, Profile};
use selection::Scope;
use terminal::Tally;
use windows::Gather as _;

use crate::builtin::Collect;

/// The data of a recording while it is gathered: the profile, and counts for the summary.
#[derive(Debug)]
pub(super) struct Recording {
    /// The processes that the recording is of: the pipeline's selection drops samples only, so process events of the
    /// whole machine arrive here.
    scope: Scope,
    profile: Gatherer,
    tally: Tally,
}

impl Recording {
    /// An empty recording of `scope`.
    pub(super) fn new(scope: Scope, settings: GatherSettings) -> Self {
        Self { scope, profile: Gatherer::new(clock::offset(), settings), tally: Tally::default() }
    }

    /// The processes of the recording that have not ended; empty if its scope is not a set of processes.
    pub(super) fn running(&self) -> Vec<ProcessKey> {
        self.scope.running()
    }

    /// The profile from `from` to `until`, and the counts.
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
