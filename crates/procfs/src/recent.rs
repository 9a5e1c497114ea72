//! Files that were opened lately, kept open for the other stages of the agent.
//!
//! Several stages read one file, each at its own time: the unwinder at the first stack that passes through it, others
//! when the events have been put in order, up to a second later. A process may have ended by then, and its file be
//! gone. So the first that opens it keeps it open for the others.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use foldhash::HashMap;
use foreignfile::{Kept, Opened};
use pdata::FileIdentity;

/// Files that are kept at most.
const MAX_KEPT: usize = 64;
/// The time for which each file is kept: longer than any stage is behind another, as a rule.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Files that were opened lately.
#[derive(Debug, Default)]
pub(crate) struct RecentFiles(Mutex<HashMap<FileIdentity, (Kept, Instant)>>);

impl RecentFiles {
    /// The files that this process has opened lately.
    pub(crate) fn of_this_process() -> Arc<Self> {
        static RECENT: OnceLock<Arc<RecentFiles>> = OnceLock::new();
        Arc::clone(RECENT.get_or_init(Arc::default))
    }

    /// Keeps a file that has been found to have that identity, if it may be kept.
    pub(crate) fn keep(&self, identity: FileIdentity, opened: &Opened<'_>) {
        let (Some(kept), now) = (opened.keep(), Instant::now()) else { return };
        let mut files = self.files();
        close_old(&mut files, now);
        if files.len() >= MAX_KEPT && !files.contains_key(&identity) {
            let oldest = files.iter().min_by_key(|(_, (_, since))| *since).map(|(oldest, _)| *oldest);
            oldest.map(|oldest| files.remove(&oldest));
        }
        files.insert(identity, (kept, now));
    }

    /// Returns a kept file that has not been written to.
    pub(crate) fn find(&self, identity: FileIdentity) -> Option<Kept> {
        let mut files = self.files();
        let found = files.get(&identity)?.0.again();
        if found.is_none() {
            files.remove(&identity);
        }
        found
    }

    /// Closes the files that have been kept for long enough. Returns the number of files that are left.
    pub(crate) fn close_old(&self) -> usize {
        let mut files = self.files();
        close_old(&mut files, Instant::now());
        files.len()
    }

    /// Closes all files.
    pub(crate) fn close_all(&self) {
        self.files().clear();
    }

    fn files(&self) -> MutexGuard<'_, HashMap<FileIdentity, (Kept, Instant)>> {
        // Each change is one insertion or removal: none leaves the map half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close_old(files: &mut HashMap<FileIdentity, (Kept, Instant)>, now: Instant) {
    files.retain(|_, (_, since)| now.saturating_duration_since(*since) < KEPT_FOR);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::path::PathBuf;

    use foreignfile::Files;
    use pdata::{BootTime, MappedFile, Pc, Pid, ProcessKey};

    use super::*;
    use crate::{ProcSource, identity_of};

    /// A process that has ended.
    const ENDED: ProcessKey = ProcessKey { pid: Pid(u32::MAX), start_time: BootTime::from_nanos(1) };

    fn reader() -> Files {
        let mut reader = Files::new(Arc::default());
        reader.wait_for_answers(Duration::from_secs(60));
        reader
    }

    /// A file, and its announcement by the kernel side.
    fn program(dir: &tempfile::TempDir) -> (PathBuf, MappedFile) {
        let path = dir.path().join("program");
        fs::write(&path, "content").unwrap();
        let found = fs::metadata(&path).unwrap();
        let file = MappedFile { identity: identity_of(&found), size: found.len(), ..MappedFile::at(&path) };
        (path, file)
    }

    fn open(files: &mut Files, file: &MappedFile, keep: bool) -> Option<String> {
        let (source, range) = (ProcSource::new("/proc"), (Pc(1), Pc(2)));
        let mut opened = source.open_mapped(files, (ENDED, range), file, Duration::from_secs(60)).ok()?;
        if keep {
            source.keep(file, &opened);
        }
        let mut text = String::new();
        opened.read_to_string(&mut text).ok()?;
        Some(text)
    }

    #[test]
    fn what_one_stage_keeps_another_reads_after_it_is_gone_unless_it_has_been_written_to() {
        let ([first, second], dir) = (&mut [reader(), reader()], tempfile::tempdir().unwrap());
        let (path, file) = program(&dir);
        let mut written = fs::File::options().append(true).open(&path).unwrap();

        assert_eq!(open(first, &file, true).as_deref(), Some("content"));
        fs::remove_file(&path).unwrap();
        assert_eq!(open(second, &file, false).as_deref(), Some("content"));
        written.write_all(b", and more").unwrap();
        assert_eq!(open(second, &file, false), None);
    }

    #[test]
    fn what_is_not_kept_is_gone_with_its_name_and_what_is_kept_is_closed_in_time() {
        let (mut reader, dir) = (reader(), tempfile::tempdir().unwrap());
        let (path, file) = program(&dir);
        assert_eq!(open(&mut reader, &file, false).as_deref(), Some("content"));

        let recent = RecentFiles::default();
        let source = ProcSource::new("/proc");
        let opened = source.open_mapped(&mut reader, (ENDED, (Pc(1), Pc(2))), &file, KEPT_FOR).unwrap();
        recent.keep(file.identity, &opened);
        drop(opened);
        assert_eq!(recent.files().len(), 1);
        close_old(&mut recent.files(), Instant::now() + KEPT_FOR);
        assert_eq!(recent.close_old(), 0);

        fs::remove_file(&path).unwrap();
        assert_eq!(open(&mut reader, &file, false), None);
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let (mut reader, dir) = (reader(), tempfile::tempdir().unwrap());
        let (_path, file) = program(&dir);
        let source = ProcSource::new("/proc");
        let opened = source.open_mapped(&mut reader, (ENDED, (Pc(1), Pc(2))), &file, KEPT_FOR).unwrap();
        let recent = RecentFiles::default();
        for inode in 0..2 * MAX_KEPT as u64 {
            recent.keep(FileIdentity { inode, ..file.identity }, &opened);
        }
        assert_eq!(recent.files().len(), MAX_KEPT);
        assert!(
            recent.files().contains_key(&FileIdentity { inode: 2 * MAX_KEPT as u64 - 1, ..file.identity })
        );
    }
}
