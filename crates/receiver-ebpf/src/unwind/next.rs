//! How a frame of a stack that is followed is left: by rows as the kernel has them, built if they are not there.

use std::time::{Duration, Instant};

use super::files::MetFile;
use super::follow::{Follow, Followed, Next, PATIENCE};
use super::kernel::Kernel;
use super::lookup::Found;
use super::tables::VDSO;
use super::worker::Worker;
use crate::abi::{self, SampleMapping};

/// Longest that what one stack lacks is read and built: a stack that leads through ever new files and pages takes no
/// more from those that wait behind it, and what it has had built by then is there for the next one.
const BUILD_WITHIN: Duration = Duration::from_millis(500);

impl<K: Kernel> Worker<K> {
    /// The rest of a stack, with all rows built that it needs and that are built in time; `None` if nobody waits for it
    /// any more.
    pub(super) fn follow(&mut self, follow: &Follow) -> Option<Followed> {
        // What it would need has been asked for by other ways, too: the next ones shall not come too late as well.
        let in_time = follow.since.elapsed() < PATIENCE;
        let until = Instant::now() + BUILD_WITHIN;
        in_time.then(|| follow.frames(|mapping, met, look| self.next(mapping, met, look, until)))
    }

    /// How a frame is left at an address to be looked up; what that takes is read and built until then.
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
        // First the file, then the page.
        for _ in 0..2 {
            match (self.tables.find(file, offset), met) {
                (Found::Rule(rule), _) => return Next::Rule(rule),
                _ if Instant::now() >= until => return Next::Pending,
                (Found::UnknownFile, Some(met)) => self.read_file(met.clone()),
                (Found::UnknownFile, None) => return Next::Pending,
                (Found::Unbuilt(number), _) if self.is_refused(number) => return Next::Pending,
                (Found::Unbuilt(number), met) => {
                    // Who has it mapped now lives longer than who was first met with it.
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
