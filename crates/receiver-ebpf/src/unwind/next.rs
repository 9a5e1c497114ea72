//! How a frame of a stack that is followed is left: by rows as the kernel has them, built if they are not there.

use super::files::MetFile;
use super::follow::{Follow, Followed, Next, PATIENCE};
use super::kernel::Kernel;
use super::lookup::Found;
use super::tables::VDSO;
use super::worker::Worker;
use crate::abi::{self, SampleMapping};

impl<K: Kernel> Worker<K> {
    /// The rest of a stack, with all rows that it needs built; `None` if nobody waits for it any more.
    pub(super) fn follow(&mut self, follow: &Follow) -> Option<Followed> {
        // What it would need has been asked for by other ways, too: the next ones shall not come too late as well.
        let in_time = follow.since.elapsed() < PATIENCE;
        in_time.then(|| follow.frames(|mapping, met, look| self.next(mapping, met, look)))
    }

    fn next(&mut self, mapping: &SampleMapping, met: Option<&MetFile>, look: u64) -> Next {
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
                (Found::UnknownFile, Some(met)) => self.read_file(met.clone()),
                (Found::UnknownFile, None) => return Next::Pending,
                (Found::Unbuilt(number), _) if self.is_refused(number) => return Next::Pending,
                (Found::Unbuilt(number), _) => self.build_all([number]),
            }
        }
        match self.tables.find(file, offset) {
            Found::Rule(rule) => Next::Rule(rule),
            _ => Next::Pending,
        }
    }
}
