//! The next frame of a stack that is followed: found by the rows that walks in the kernel use, which are built if they
//! are not there.

use std::time::{Duration, Instant};

use super::files::MetFile;
use super::follow::{Follow, Followed, Next, PATIENCE};
use super::kernel::Kernel;
use super::lookup::Found;
use super::tables::VDSO;
use super::worker::Worker;
use crate::abi::{self, SampleMapping};

/// The longest time for reading and building the rows that one stack lacks: a stack that leads through ever new files
/// and pages takes no more from those that wait behind it, and the rows built by then are there for the next one.
const BUILD_WITHIN: Duration = Duration::from_millis(500);

impl<K: Kernel> Worker<K> {
    /// Follows the rest of a stack, building the rows that it needs, as far as there is time; `None` if nobody waits
    /// for it any more.
    pub(super) fn follow(&mut self, follow: &Follow) -> Option<Followed> {
        // For a stack that is too late, its rows have been asked for by other ways, too: stacks behind it shall not
        // come too late as well.
        let in_time = follow.since.elapsed() < PATIENCE;
        let until = Instant::now() + BUILD_WITHIN;
        in_time.then(|| follow.frames(|mapping, met, look| self.next(mapping, met, look, until)))
    }

    /// The way to the caller of a frame at an address to be looked up; its rows are read and built until `until`.
    pub(super) fn next(
        &mut self,
        mapping: &SampleMapping,
        met: Option<&MetFile>,
        look: u64,
        until: Instant,
    ) -> Next {
        let into = look.wrapping_sub(mapping.start);
        let (file, offset) = match (mapping.file, met) {
            (abi::MAPPED_VDSO, _) => (VDSO, into),
            (abi::MAPPED_ANONYMOUS, _) => return Next::FramePointer,
            (_, Some(met)) => (met.identity, into.wrapping_add(mapping.file_offset)),
            (_, None) => return Next::Pending,
        };
        // The first turn reads the file, the second builds the page.
        for _ in 0..2 {
            match (self.tables.find(file, offset), met) {
                (Found::Rule(rule), _) => return Next::Rule(rule),
                _ if Instant::now() >= until => return Next::Pending,
                (Found::UnknownFile, Some(met)) => self.read_file(met.clone()),
                (Found::UnknownFile, None) => return Next::Pending,
                (Found::Unbuilt(number), _) if self.is_refused(number) => return Next::Pending,
                (Found::Unbuilt(number), met) => {
                    // The process that has the file mapped now lives longer than the one that was first met with it.
                    self.met.extend(met.map(|met| (met.identity, met.clone())));
                    self.build_all([number]);
                }
            }
        }
        match self.tables.find(file, offset) {
            Found::Rule(rule) => Next::Rule(rule),
            _ => Next::Pending,
        }
    }
}
