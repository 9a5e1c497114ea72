//! The files behind mappings, each held once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use pdata::{
    ANONYMOUS, Backing, BuildId, Executable, FileState, MappedFile, Mapping, MappingRecord, ProcessKey,
};
use rustc_hash::FxHashMap;

use crate::procfs::DELETED;
use crate::reader::{FileRequest, Reads, Request};

/// How often a file is tried to be read at most: a lost race is tried again at a later sight, when
/// another process has the file mapped.
const MAX_TRIES: u8 = 16;
/// Names of mappings without a file that are held once; others are copied.
const MAX_SPECIALS: usize = 64;
/// Fewest entries at which to look for files that nobody has mapped any more.
const LEAST_SWEEP: usize = 256;
/// Names that begin like a path and name no file one could read.
const NO_FILE: [&[u8]; 4] = [b"//anon", b"/anon_hugepage", b"/dev/zero", b"/SYSV"];

/// Every file that is mapped somewhere, by name and build ID.
///
/// A file without a build ID is known by its name alone, so one that replaces it is taken for it
/// while the old one is still mapped; entries go away with the last mapping.
#[derive(Debug, Default)]
pub(crate) struct Files {
    by_name: FxHashMap<Box<[u8]>, Vec<Known>>,
    specials: Vec<Arc<str>>,
    entries: usize,
    sweep_at: usize,
}

#[derive(Debug)]
struct Known {
    build_id: Option<BuildId>,
    file: Weak<MappedFile>,
    reading: Arc<Reading>,
}

impl Known {
    fn is_mapped(&self) -> bool {
        self.file.strong_count() > 0
    }
}

/// How far the reading of one file has come; shared by who asks and who reads.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pending: AtomicBool,
    tries: AtomicU8,
    /// Where the agent may find the file, if it is one that was executed.
    pub(crate) executed: OnceLock<Location>,
}

/// Where a file was when it was executed, and what it is known by there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// Path outside any chroot.
    pub(crate) path: Box<Path>,
    /// Device and inode number, as the kernel has them inside.
    pub(crate) inode: (u32, u64),
}

impl Reading {
    /// True if the caller is to ask for the file.
    fn begin(&self) -> bool {
        self.tries.load(Ordering::Relaxed) < MAX_TRIES && !self.pending.swap(true, Ordering::Relaxed)
    }

    /// The request could not be passed on.
    fn withdraw(&self) {
        self.pending.store(false, Ordering::Relaxed);
    }

    /// The file has been tried; unless that gave its facts, it may be tried again.
    pub(crate) fn finish(&self) {
        self.tries.fetch_add(1, Ordering::Relaxed);
        self.pending.store(false, Ordering::Relaxed);
    }
}

impl Files {
    /// The mapping a record describes; its file is asked to be read if that has not been done.
    pub(crate) fn mapping(
        &mut self,
        record: &MappingRecord,
        process: ProcessKey,
        reads: &mut impl Reads,
    ) -> Arc<Mapping> {
        let backing = if is_file(&record.name) {
            Backing::File(self.file(record, process, reads))
        } else if *record.name == *ANONYMOUS.as_bytes() {
            Backing::Anonymous(process)
        } else {
            Backing::Special(self.special(&record.name))
        };
        let MappingRecord { start, end, file_offset, .. } = *record;
        Arc::new(Mapping { start, end, file_offset, backing })
    }

    fn file(
        &mut self,
        record: &MappingRecord,
        process: ProcessKey,
        reads: &mut impl Reads,
    ) -> Arc<MappedFile> {
        let (name, deleted) = match record.name.strip_suffix(DELETED) {
            Some(name) => (name, true),
            None => (&*record.name, false),
        };
        let (file, reading) = self.intern(name, record.build_id);
        let (range, weak) = ((record.start, record.end), Arc::downgrade(&file));
        if file.facts.get().is_none() && reading.begin() {
            let request = FileRequest {
                file: weak,
                reading: Arc::clone(&reading),
                process,
                range: Some(range),
                deleted,
            };
            if !reads.ask(Request::File(request)) {
                reading.withdraw();
            }
        }
        file
    }

    /// A file has been executed: its own record tells where it is, even outside a chroot, and by
    /// which inode to know it, even without a build ID. That helps when the process ends too soon to
    /// be read through.
    pub(crate) fn executed(&mut self, executable: &Executable, process: ProcessKey, reads: &mut impl Reads) {
        let name = executable.own_path.as_ref().unwrap_or(&executable.path).as_os_str().as_bytes();
        for known in self.by_name.get(name).into_iter().flatten() {
            let unread = known.file.upgrade().is_some_and(|file| file.facts.get().is_none());
            if !unread || known.reading.executed.get().is_some() {
                continue;
            }
            let location =
                Location { path: executable.path.clone(), inode: (executable.device, executable.inode) };
            // Nobody else sets it: there is one of us.
            let _ = known.reading.executed.set(location);
            if known.reading.begin() {
                let (file, reading) = (Weak::clone(&known.file), Arc::clone(&known.reading));
                let deleted = executable.state != FileState::Linked;
                let request = FileRequest { file, reading, process, range: None, deleted };
                if !reads.ask(Request::File(request)) {
                    known.reading.withdraw();
                }
            }
        }
    }

    fn intern(&mut self, name: &[u8], build_id: Option<BuildId>) -> (Arc<MappedFile>, Arc<Reading>) {
        let same_name = self.by_name.get(name).into_iter().flatten();
        for known in same_name.filter(|known| known.build_id == build_id) {
            if let Some(file) = known.file.upgrade() {
                return (file, Arc::clone(&known.reading));
            }
        }
        self.sweep();
        let path: Box<Path> = Path::new(OsStr::from_bytes(name)).into();
        let file = Arc::new(MappedFile { path, build_id, facts: OnceLock::new() });
        let reading = Arc::new(Reading::default());
        let known = Known { build_id, file: Arc::downgrade(&file), reading: Arc::clone(&reading) };
        let same_name = self.by_name.entry(name.into()).or_default();
        // A file made again and again under one name would have each look-up pass by all it has been.
        let before = same_name.len();
        same_name.retain(Known::is_mapped);
        same_name.push(known);
        self.entries = self.entries + same_name.len() - before;
        (file, reading)
    }

    /// Drops the entries of files that nobody has mapped, once there may be as many as of the others.
    fn sweep(&mut self) {
        if self.entries < self.sweep_at.max(LEAST_SWEEP) {
            return;
        }
        self.by_name.retain(|_, same_name| {
            same_name.retain(Known::is_mapped);
            !same_name.is_empty()
        });
        self.entries = self.by_name.values().map(Vec::len).sum();
        self.sweep_at = 2 * self.entries;
    }

    fn special(&mut self, name: &[u8]) -> Arc<str> {
        let name = String::from_utf8_lossy(name);
        if let Some(known) = self.specials.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        if self.specials.len() < MAX_SPECIALS {
            self.specials.push(Arc::clone(&name));
        }
        name
    }
}

fn is_file(name: &[u8]) -> bool {
    name.starts_with(b"/") && !NO_FILE.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use pdata::{FileOffset, Pc};

    use super::*;

    fn record(name: &str, build_id: Option<u8>) -> MappingRecord {
        let build_id = build_id.and_then(|byte| BuildId::new(&[byte; 20]));
        let name = name.as_bytes().into();
        MappingRecord { start: Pc(0x1000), end: Pc(0x2000), file_offset: FileOffset(0), name, build_id }
    }

    fn file(mapping: &Mapping) -> &Arc<MappedFile> {
        match &mapping.backing {
            Backing::File(file) => file,
            other => panic!("{} is no file", other.name()),
        }
    }

    #[test]
    fn a_file_is_shared_by_its_mappings_and_asked_for_once() {
        let (mut files, mut asked) = (Files::default(), Vec::new());
        let key = ProcessKey::default();
        let first = files.mapping(&record("/bin/a", Some(1)), key, &mut asked);
        let second = files.mapping(&record("/bin/a", Some(1)), key, &mut asked);
        let other = files.mapping(&record("/bin/a", Some(2)), key, &mut asked);
        assert!(Arc::ptr_eq(file(&first), file(&second)));
        assert!(!Arc::ptr_eq(file(&first), file(&other)), "a replaced file is another one");
        assert_eq!(asked.len(), 2);
    }

    #[test]
    fn a_request_refused_or_without_success_is_made_again_a_bounded_number_of_times() {
        let (mut files, key) = (Files::default(), ProcessKey::default());
        let held = files.mapping(&record("/bin/a", None), key, &mut crate::reader::Refuse);
        let mut requests = 0;
        for _ in 0..2 * MAX_TRIES {
            let mut asked = Vec::new();
            files.mapping(&record("/bin/a", None), key, &mut asked);
            for request in asked {
                requests += 1;
                let Request::File(request) = request else { panic!("{request:?}") };
                request.reading.finish();
            }
        }
        assert_eq!(requests, MAX_TRIES);
        drop(held);
    }

    #[test]
    fn names_the_kernel_makes_up_are_no_files() {
        let mut files = Files::default();
        for (name, path) in [
            ("/bin/a (deleted)", Some("/bin/a")),
            ("/memfd:x (deleted)", Some("/memfd:x")),
            ("/anon_hugepage (deleted)", None),
            ("[vdso]", None),
            ("anon_inode:[perf_event]", None),
            ("", None),
        ] {
            let mapping = files.mapping(&record(name, None), ProcessKey::default(), &mut Vec::new());
            match &mapping.backing {
                Backing::File(file) => assert_eq!(Some(&*file.path), path.map(Path::new)),
                other => {
                    assert!(matches!(other, Backing::Special(_)), "{other:?}");
                    assert_eq!((&*other.name(), None), (name, path));
                }
            }
        }
        let key = ProcessKey { pid: pdata::Pid(5), ..ProcessKey::default() };
        let anonymous = files.mapping(&record("//anon", None), key, &mut Vec::new());
        assert!(matches!(anonymous.backing, Backing::Anonymous(of) if of == key));
    }

    #[test]
    fn entries_go_away_with_the_last_mapping() {
        let mut files = Files::default();
        for round in 0..20 * LEAST_SWEEP {
            files.mapping(&record(&format!("/tmp/{round}"), None), ProcessKey::default(), &mut Vec::new());
        }
        assert!(files.by_name.len() <= LEAST_SWEEP, "{}", files.by_name.len());
        for build in 0..100 {
            files.mapping(&record("/tmp/same", Some(build)), ProcessKey::default(), &mut Vec::new());
        }
        assert_eq!(files.by_name[&b"/tmp/same"[..]].len(), 1);
    }
}
