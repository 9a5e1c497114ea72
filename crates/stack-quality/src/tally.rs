//! The tally of a pipeline: the quality of stacks of each program that it has met.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;
use pdata::{Batch, ImageKind, Sample};

use crate::program::Quality;

/// Programs that a tally holds at most. Of these the one with the fewest stacks makes room for a newcomer, so that
/// whoever runs ever new programs takes no place from those that matter.
pub const MAX_PROGRAMS: usize = 256;

/// The quality of the stacks of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramQuality {
    /// Path of the program's file; `None` for all programs together that the tally no longer holds, and for samples
    /// whose process is not known.
    pub program: Option<Box<Path>>,
    /// Counts since the tally was made.
    pub quality: Quality,
}

/// Counts of the stacks that pass through one pipeline.
#[derive(Debug)]
pub struct Tally {
    watchers: Arc<AtomicUsize>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    programs: HashMap<Box<Path>, Quality>,
    others: Quality,
}

impl Tally {
    /// A tally that counts while `watchers` is not zero.
    pub(crate) fn new(watchers: Arc<AtomicUsize>) -> Self {
        Self { watchers, counts: Mutex::default() }
    }

    /// Counts the stacks of a batch, if somebody watches.
    pub fn record(&self, batch: &Batch) {
        if self.watchers.load(Ordering::Relaxed) == 0 || batch.sample_count() == 0 {
            return;
        }
        // Additions alone happen while it is held.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for sample in batch.samples().filter(|sample| !sample.running.is_kernel()) {
            counts.of(sample).add(sample);
        }
    }

    /// The programs, most stacks first, and all others together at the end if there are any.
    #[must_use]
    pub fn programs(&self) -> Vec<ProgramQuality> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut programs: Vec<_> = counts
            .programs
            .iter()
            .filter(|(_, quality)| quality.stacks() > 0)
            .map(|(path, quality)| ProgramQuality { program: Some(path.clone()), quality: quality.clone() })
            .collect();
        programs.sort_unstable_by(|a, b| {
            (b.quality.stacks().cmp(&a.quality.stacks())).then_with(|| a.program.cmp(&b.program))
        });
        if counts.others.stacks() > 0 {
            programs.push(ProgramQuality { program: None, quality: counts.others.clone() });
        }
        programs
    }
}

impl Counts {
    /// The counts of a sample's program.
    fn of(&mut self, sample: &Sample) -> &mut Quality {
        let Some(ImageKind::User { executable, .. }) = sample.image.as_deref().map(|image| &image.kind)
        else {
            return &mut self.others;
        };
        if !self.programs.contains_key(&*executable.path) {
            self.make_room();
        }
        self.programs.entry(executable.path.clone()).or_default()
    }

    fn make_room(&mut self) {
        if self.programs.len() < MAX_PROGRAMS {
            return;
        }
        let least = self.programs.iter().min_by_key(|(_, quality)| quality.stacks());
        let least = least.map(|(path, _)| path.clone());
        if let Some(quality) = least.and_then(|path| self.programs.remove(&path)) {
            self.others.merge(&quality);
        }
    }
}
