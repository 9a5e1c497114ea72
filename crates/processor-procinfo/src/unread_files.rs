//! Mapped files that are still to be read.

use std::sync::{Arc, Weak};

use pdata::{Backing, Code, MappedFile, Mapping, ProcessKey, Sample};
use rustc_hash::FxHashMap;

use crate::request::{FileRequest, ReadRequest, Reading, Reads};

/// The fewest entries at which files are searched for that nobody refers to any more.
const LEAST_SWEEP: usize = 256;

/// Files that samples refer to and that have not been read.
#[derive(Debug, Default)]
pub(crate) struct UnreadFiles {
    /// Files by their addresses in memory, which no others take while the `Weak` lives.
    unread: FxHashMap<usize, Unread>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Unread {
    file: Weak<MappedFile>,
    reading: Arc<Reading>,
}

impl Unread {
    fn is_wanted(&self) -> bool {
        self.file.upgrade().is_some_and(|file| file.facts.get().is_none())
    }
}

impl UnreadFiles {
    /// Asks for the files of a sample that have not been read. Returns the number of user frames that have no mapping.
    pub(crate) fn read_unread(&mut self, sample: &Sample, reads: &mut impl Reads) -> u64 {
        let (mut unmapped, mut last) = (0, None);
        for frame in &sample.stack.frames {
            match &frame.code {
                Code::Kernel | Code::Interpreted(..) => {}
                Code::Unknown => unmapped += 1,
                Code::Mapped(mapping) => {
                    // Callers are mostly in the file of their callee.
                    if last.is_some_and(|last| Arc::ptr_eq(last, mapping)) {
                        continue;
                    }
                    last = Some(mapping);
                    if let Backing::File(file) = &mapping.backing
                        && file.facts.get().is_none()
                    {
                        self.ask(file, mapping, sample.key.process, reads);
                    }
                }
            }
        }
        unmapped
    }

    fn ask(
        &mut self,
        file: &Arc<MappedFile>,
        mapping: &Mapping,
        process: ProcessKey,
        reads: &mut impl Reads,
    ) {
        let place = Arc::as_ptr(file).addr();
        if !self.unread.contains_key(&place) {
            self.sweep();
        }
        let new = || Unread { file: Arc::downgrade(file), reading: Arc::default() };
        let reading = &self.unread.entry(place).or_insert_with(new).reading;
        if reading.begin() {
            let request = FileRequest {
                file: Arc::downgrade(file),
                reading: Arc::clone(reading),
                process,
                range: (mapping.start, mapping.end),
            };
            if !reads.ask(ReadRequest::File(request)) {
                reading.withdraw();
            }
        }
    }

    /// Drops the entries of files that nobody refers to or that have been read, once there may be as many as other
    /// entries.
    fn sweep(&mut self) {
        if self.unread.len() < self.sweep_at.max(LEAST_SWEEP) {
            return;
        }
        self.unread.retain(|_, unread| unread.is_wanted());
        self.sweep_at = 2 * self.unread.len();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pdata::{FileOffset, Frame, Pc, Stack};

    use super::*;
    use crate::request::MAX_TRIES;

    fn sample(file: &Arc<MappedFile>) -> Sample {
        let backing = Backing::File(Arc::clone(file));
        let mapping = Arc::new(Mapping { start: Pc(1), end: Pc(9), file_offset: FileOffset(0), backing });
        let mapped = |pc| Frame::caller(Pc(pc), Code::Mapped(Arc::clone(&mapping)));
        let frames = [mapped(1), mapped(2), Frame::caller(Pc(3), Code::Unknown)];
        Sample { stack: Stack::new(frames), ..Sample::default() }
    }

    fn file(path: &str) -> Arc<MappedFile> {
        Arc::new(MappedFile::at(Path::new(path)))
    }

    #[test]
    fn a_file_is_asked_for_once_and_frames_without_a_mapping_are_counted() {
        let (mut files, mut asked, file) = (UnreadFiles::default(), Vec::new(), file("/bin/a"));
        assert_eq!(files.read_unread(&sample(&file), &mut asked), 1);
        files.read_unread(&sample(&file), &mut asked);
        let [ReadRequest::File(request)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(request.range, (Pc(1), Pc(9)));
    }

    #[test]
    fn a_request_refused_or_without_success_is_made_again_a_bounded_number_of_times() {
        let (mut files, file) = (UnreadFiles::default(), file("/bin/a"));
        files.read_unread(&sample(&file), &mut crate::request::Refuse);
        let mut requests = 0;
        for _ in 0..2 * MAX_TRIES {
            let mut asked = Vec::new();
            files.read_unread(&sample(&file), &mut asked);
            for request in asked {
                requests += 1;
                let ReadRequest::File(request) = request else { panic!("{request:?}") };
                request.reading.finish();
            }
        }
        assert_eq!(requests, MAX_TRIES);
    }

    #[test]
    fn entries_go_away_with_their_files() {
        let mut files = UnreadFiles::default();
        for round in 0..20 * LEAST_SWEEP {
            files.read_unread(&sample(&file(&format!("/tmp/{round}"))), &mut Vec::new());
        }
        assert!(files.unread.len() <= LEAST_SWEEP, "{}", files.unread.len());
    }
}
