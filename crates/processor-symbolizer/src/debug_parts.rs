//! Files with parts of a program's debug information: files that several programs share (`dwz`), and units that the
//! compiler has left in files of their own (split DWARF).
//!
//! Programs name these files, and strangers make programs: a path is no reason to open a file. Below the directory of
//! debug files, files of root are opened. Anywhere else, a file is opened only if its owner owns the program, too, who
//! could have written into the program whatever the file has: a developer's own build directory is read for what the
//! developer has built, and for nobody else. Links are not followed, and a build ID
//! or a unit's number decides which file is the part, not its name.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use bytesource::{ByteSource, OpenFile};
use foreignfile::{FilePlace, Refusal};
use procfs::ProcSource;
use rustix::io::Errno;
use symbolize::{DebugPart, DebugParts};

use crate::debug_files::{ROOT, ROOT_USER, below_build_ids};
use crate::line_job::LineJob;
use crate::metrics;

/// The longest that finding and opening a part at one place may take.
const OPEN_WITHIN: Duration = Duration::from_secs(1);

/// The parts of the debug information of one file.
#[derive(Debug)]
pub(crate) struct PartFiles<'a> {
    pub(crate) source: &'a ProcSource,
    pub(crate) reader: &'a mut foreignfile::Files,
    pub(crate) job: &'a LineJob,
    /// The user who owns the file that names the parts.
    pub(crate) owner: u32,
    /// Time after which no part is opened.
    pub(crate) until: Instant,
}

/// A path at which a part may be, and the user who must own the file there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    path: PathBuf,
    owner: u32,
}

impl DebugParts for PartFiles<'_> {
    fn open(&mut self, part: DebugPart<'_>) -> io::Result<Option<Box<dyn ByteSource>>> {
        let file = &self.job.file;
        let program = file.own_path.as_ref().unwrap_or(&file.path);
        let found = self.open_first(&candidates(part, program, self.owner));
        let kind = match part {
            DebugPart::Shared { .. } => "shared",
            DebugPart::Package => "package",
            DebugPart::Unit { .. } => "unit",
        };
        let outcome = match &found {
            Ok(Some(_)) => "opened",
            Ok(None) => "absent",
            Err(_) => "unavailable",
        };
        metrics::debug_part(kind, outcome);
        found
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl PartFiles<'_> {
    /// The file at the first of the candidates that is there; `None` if none is.
    ///
    /// # Errors
    /// The reason why one of them could not be looked for now; none is opened in its stead.
    fn open_first(&mut self, candidates: &[Candidate]) -> io::Result<Option<Box<dyn ByteSource>>> {
        let process = self.source.process(self.job.process);
        for candidate in candidates {
            let Candidate { path, owner } = candidate;
            let seen = FilePlace::Seen { process: &process, path };
            let own = candidate.is_installed().then_some(FilePlace::Own { path, follows_links: false });
            for place in [Some(seen), own].into_iter().flatten() {
                if let Some(file) = self.open_at(place, *owner)? {
                    return Ok(Some(Box::new(file)));
                }
            }
        }
        // Another process of the same program may see what this one cannot show any more.
        if !candidates.is_empty() && self.source.check(self.job.process).is_err() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(None)
    }

    /// The file at a place, if it is of that owner.
    fn open_at(&mut self, place: FilePlace<'_>, owner: u32) -> io::Result<Option<OpenFile>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let opened = match self.reader.open_data(place, OPEN_WITHIN.min(left), |found| found.uid == owner) {
            Ok(opened) => opened,
            Err(refusal) if is_passing(&refusal) => return Err(io::Error::other(refusal)),
            Err(_lasting) => return Ok(None),
        };
        // A file of a file system that asks others is not worth the wait.
        let Some(shared) = opened.shared() else { return Ok(None) };
        let file = OpenFile::new(shared.try_clone()?)?;
        // The pid may be another's by now, and the view with it.
        let is_seen = matches!(place, FilePlace::Seen { .. });
        Ok(Some(file).filter(|_| !is_seen || self.source.check(self.job.process).is_ok()))
    }
}

impl Candidate {
    /// True if the path may be looked for as the agent sees it, too, since the process may be gone.
    ///
    /// Outside [`ROOT`] the agent's own view is no substitute for the process's: the path is chosen by a program that
    /// may be in a container, where user 0 owns by number what root has on the machine.
    fn is_installed(&self) -> bool {
        self.path.starts_with(ROOT) && self.owner == ROOT_USER
    }
}

/// True if a file that was refused may be had later.
fn is_passing(refusal: &Refusal) -> bool {
    let is_shortage = |error: &io::Error| {
        let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN].map(Errno::raw_os_error);
        error.raw_os_error().is_some_and(|error| shortages.contains(&error))
    };
    match refusal {
        Refusal::Silent | Refusal::TooLong | Refusal::Skipped | Refusal::NoReader(_) => true,
        Refusal::Open(error) => is_shortage(error),
        Refusal::Gone | Refusal::Unwanted | Refusal::MadeUp { .. } | Refusal::NoExec => false,
    }
}

/// The debug information of a file that is read without any part in another file.
#[derive(Debug)]
pub(crate) struct NoParts {
    /// Time after which no unit is read.
    pub(crate) until: Instant,
}

impl DebugParts for NoParts {
    fn open(&mut self, _part: DebugPart<'_>) -> io::Result<Option<Box<dyn ByteSource>>> {
        Ok(None)
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// The places of a part of the debug information of `program`, whose file is `owner`'s, the likeliest first.
fn candidates(part: DebugPart<'_>, program: &Path, owner: u32) -> Vec<Candidate> {
    let of_root = |path| Candidate { path, owner: ROOT_USER };
    let suffixed = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    match part {
        DebugPart::Shared { path, build_id } => {
            let by_id = build_id.and_then(|id| below_build_ids(id, ".debug"));
            let paths = [by_id, shared_path(Path::new(path))];
            paths.into_iter().flatten().map(of_root).collect()
        }
        DebugPart::Package if program.is_absolute() => {
            let below = below_root(program);
            let below =
                below.iter().flat_map(|path| [".dwp", ".debug.dwp"].map(|suffix| suffixed(path, suffix)));
            let beside = Candidate { path: suffixed(program, ".dwp"), owner };
            [beside].into_iter().chain(below.map(of_root)).collect()
        }
        DebugPart::Package => Vec::new(),
        DebugPart::Unit { directory, path } => {
            let path = Path::new(directory).join(path);
            if !path.is_absolute() {
                return Vec::new();
            }
            let below = below_root(&path).map(of_root);
            below.into_iter().chain([Candidate { path, owner }]).collect()
        }
    }
}

/// The path below [`ROOT`] at which a file is installed that belongs at `path`; `None` for a path that leads up.
fn below_root(path: &Path) -> Option<PathBuf> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    is_plain.then(|| Path::new(ROOT).join(path))
}

/// The path of a shared file below [`ROOT`]. Debug files name it by a path that is absolute or leads up to that
/// directory: `../../.dwz/name`.
fn shared_path(path: &Path) -> Option<PathBuf> {
    let path = if path.is_absolute() {
        path.strip_prefix(ROOT).ok()?
    } else {
        let parts = path.components();
        let after: PathBuf = parts.skip_while(|part| matches!(part, Component::ParentDir)).collect();
        return below_root(&after);
    };
    below_root(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths(part: DebugPart<'_>, owner: u32) -> Vec<(String, u32)> {
        let found = candidates(part, Path::new("/opt/program"), owner);
        found.into_iter().map(|found| (found.path.to_string_lossy().into_owned(), found.owner)).collect()
    }

    #[test]
    fn parts_are_looked_for_below_the_directory_of_debug_files_and_where_their_owner_has_the_program() {
        let of = |paths: &[(&str, u32)]| {
            paths.iter().map(|(path, owner)| ((*path).to_owned(), *owner)).collect::<Vec<_>>()
        };
        assert_eq!(
            paths(DebugPart::Package, 7),
            of(&[
                ("/opt/program.dwp", 7),
                ("/usr/lib/debug/opt/program.dwp", 0),
                ("/usr/lib/debug/opt/program.debug.dwp", 0),
            ])
        );
        assert_eq!(
            paths(DebugPart::Unit { directory: "/home/one/build", path: "a/b.dwo" }, 7),
            of(&[("/usr/lib/debug/home/one/build/a/b.dwo", 0), ("/home/one/build/a/b.dwo", 7)])
        );
        assert_eq!(
            paths(DebugPart::Unit { directory: "/build", path: "../etc/b.dwo" }, 7),
            of(&[("/build/../etc/b.dwo", 7)])
        );
        assert_eq!(paths(DebugPart::Unit { directory: "", path: "b.dwo" }, 7), []);
        let by_id = ("/usr/lib/debug/.build-id/ab/cd.debug", 0);
        for path in ["/usr/lib/debug/.dwz/of", "../../.dwz/of", ".dwz/of"] {
            let shared = DebugPart::Shared { path, build_id: Some(&[0xab, 0xcd]) };
            assert_eq!(paths(shared, 7), of(&[by_id, ("/usr/lib/debug/.dwz/of", 0)]));
        }
        for path in ["/etc/shadow", "/usr/lib/debug/../../../etc/shadow", "a/../../etc/shadow"] {
            assert_eq!(paths(DebugPart::Shared { path, build_id: Some(&[0xab, 0xcd]) }, 7), of(&[by_id]));
        }
    }

    proptest! {
        /// Whatever a program names, a file that is not of the program's owner is looked for below the directory of
        /// debug files only.
        #[test]
        fn no_path_leads_elsewhere(path in "(/|\\.\\./|[a-z.]{1,3}/){0,6}[a-z.]{0,3}", directory in "(/|\\.\\./|[a-z.]{1,3}/){0,4}") {
            let parts = [
                DebugPart::Shared { path: &path, build_id: Some(&[1, 2]) },
                DebugPart::Unit { directory: &directory, path: &path },
            ];
            for found in parts.into_iter().flat_map(|part| candidates(part, Path::new(&directory), 7)) {
                let leads_up = found.path.components().any(|part| part == Component::ParentDir);
                prop_assert!(found.owner == 7 || found.path.starts_with(ROOT) && !leads_up, "{found:?}");
            }
        }
    }
}
