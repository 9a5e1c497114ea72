//! What is held for a process.

use pdata::{ExecCount, KTime, UnixNanos};

use crate::images::Images;
use crate::table::Footprint;

/// How often `/proc` is asked about one image at most: what cannot be repaired is counted for every
/// sample, not tried for every sample.
const MAX_REPAIRS: u8 = 4;

/// All that is known of a process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its start by the wall clock, as that was last set.
    pub(crate) created: UnixNanos,
    pub(crate) images: Images,
    repair: Repair,
}

/// Whether `/proc` may be asked about a process.
#[derive(Debug, Default)]
struct Repair {
    pending: bool,
    /// Image last asked about, and how often.
    image: ExecCount,
    tries: u8,
}

impl Footprint for Process {
    fn footprint(&self) -> usize {
        self.images.footprint()
    }
}

impl Process {
    pub(crate) fn new(created: UnixNanos) -> Self {
        Self { created, images: Images::default(), repair: Repair::default() }
    }

    /// The wall clock has been set: the process was created at another time than was thought.
    pub(crate) fn created_at(&mut self, created: UnixNanos) {
        self.created = created;
        self.images.created_at(created);
    }

    /// True if `/proc` is to be asked about an image: it has not been too often, and is not being
    /// asked about any.
    pub(crate) fn may_repair(&self, image: ExecCount) -> bool {
        !self.repair.pending && (self.repair.image != image || self.repair.tries < MAX_REPAIRS)
    }

    /// `/proc` is being asked about an image.
    pub(crate) fn repair_asked(&mut self, image: ExecCount) {
        let tries = if self.repair.image == image { self.repair.tries } else { 0 };
        self.repair = Repair { pending: true, image, tries: tries + 1 };
    }

    /// `/proc` has answered.
    pub(crate) fn repair_answered(&mut self) {
        self.repair.pending = false;
    }

    /// Forgets what was replaced at or before `acked`.
    pub(crate) fn forget(&mut self, acked: KTime) {
        self.images.forget(acked);
    }

    /// True if nothing is held that has been replaced.
    #[cfg(test)]
    pub(crate) fn is_lean(&self) -> bool {
        self.images.len() == 1
    }
}
