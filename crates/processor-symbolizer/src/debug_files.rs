//! Files that have the symbols which others were stripped of, as distributions install them: below `/usr/lib/debug` and
//! beside the file. They are found by a name that the stripped file chooses, and strangers make such files: below
//! `/usr/lib/debug` those of root are read, elsewhere those of the stripped file's owner, who could have left the
//! symbols where they were.
//!
//! They are opened at first sight of the stripped file, as that is: a process that has ended shows no files. If it had
//! ended by then, the directory of its program is looked for by the path at which the kernel has met the program, and
//! is the right one if the program is there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesource::OpenFile;
use foreignfile::FilePlace;
use procfs::ProcSource;
use symbolize::{Limits, Outline, SymbolFile};

use crate::metrics;
use crate::sight::Sight;
use crate::symbols::DebugFile;

/// Directory in which distributions install debug files.
pub(crate) const ROOT: &str = "/usr/lib/debug";
/// The user whose files below [`ROOT`] are believed.
pub(crate) const ROOT_USER: u32 = 0;
/// The longest that finding and reading one debug file may take.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(10);
/// The longest that debug files of one file are looked for in its user's turn.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// The view of the machine's files in which a path is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// The process's.
    Process,
    /// The agent's, where root has made the links: packages of some distributions have one for each build ID.
    Agent,
    /// The agent's, for a directory that no process shows any more. It is the stripped file's own directory if the
    /// stripped file is there.
    AgentBeside,
}

/// True if another file may have symbols that a file lacks, or debug information, if that is wanted for `lines`.
pub(crate) fn is_wanted(stripped: &Outline, lines: bool) -> bool {
    !stripped.has_symtab() || lines && !stripped.has_debug_info()
}

/// The file with the symbols that a file of that owner was stripped of; `None` if none is installed.
pub(crate) fn find(
    source: &ProcSource,
    reader: &mut foreignfile::Files,
    sight: Sight<'_>,
    (stripped, owner): (&Outline, u32),
    limits: Limits,
) -> Option<DebugFile> {
    let found = open(source, reader, sight, (stripped, owner), LOOK_WITHIN).unwrap_or_default();
    read(found, stripped, limits)
}

/// Opens the files that may have the symbols which a file of that owner was stripped of. If the stripped file has a
/// build ID, this is one file at most, with the same build ID; else the checksum in the debug link decides when the
/// files are read, which takes longer.
///
/// Looks at no further place once `within` has passed: other files are waiting. `None` if that was before the end.
pub(crate) fn open(
    source: &ProcSource,
    reader: &mut foreignfile::Files,
    sight: Sight<'_>,
    (stripped, owner): (&Outline, u32),
    within: Duration,
) -> Option<Vec<OpenFile>> {
    let until = Instant::now() + within;
    let (process, mut found) = (source.process(sight.process), Vec::new());
    let mut is_beside = None;
    for (path, view) in paths(sight, stripped) {
        if Instant::now() >= until {
            return None;
        }
        let place = match view {
            View::Process => FilePlace::Seen { process: &process, path: &path },
            View::Agent => FilePlace::Own { path: &path, follows_links: true },
            View::AgentBeside => FilePlace::Own { path: &path, follows_links: false },
        };
        let may_be_there = view != View::AgentBeside
            || *is_beside.get_or_insert_with(|| {
                !source.shows_files(sight.process) && source.is_at_its_path(reader, sight.file)
            });
        let owner = if path.starts_with(ROOT) { ROOT_USER } else { owner };
        let Some(file) = may_be_there.then(|| open_at(reader, place, owner)).flatten() else { continue };
        match stripped.build_id() {
            None => found.push(file),
            Some(id) if has_symbols_of(&file, id) => return Some(vec![file]),
            Some(_other) => metrics::debug_file("refused"),
        }
    }
    Some(found)
}

/// Opens a file of that owner, if its file system asks nobody when the file is read.
fn open_at(reader: &mut foreignfile::Files, place: FilePlace<'_>, owner: u32) -> Option<OpenFile> {
    let opened = reader.open_data(place, READ_WITHIN, |found| found.uid == owner).ok()?;
    let file = opened.shared().and_then(|file| OpenFile::new(file.try_clone().ok()?).ok());
    if file.is_none() {
        metrics::debug_file("refused");
    }
    file
}

/// True if a file has symbols or debug information of the file with that build ID.
fn has_symbols_of(file: &OpenFile, build_id: &[u8]) -> bool {
    let is_it =
        |found: Outline| found.build_id() == Some(build_id) && (found.has_symtab() || found.has_debug_info());
    Outline::read(file).is_ok_and(is_it)
}

/// Reads the first of several debug files that belongs to the stripped file and has symbols.
pub(crate) fn read(files: Vec<OpenFile>, stripped: &Outline, limits: Limits) -> Option<DebugFile> {
    files.into_iter().find_map(|file| {
        let debug = belonging(file, false, (stripped, limits));
        metrics::debug_file(if debug.is_some() { "read" } else { "refused" });
        debug
    })
}

/// Reads a debug file that a server has sent, if it belongs to the stripped file.
pub(crate) fn read_fetched(file: File, stripped: &Outline, limits: Limits) -> Option<DebugFile> {
    let debug = OpenFile::new(file).ok().and_then(|file| belonging(file, true, (stripped, limits)));
    metrics::debug_file(if debug.is_some() { "read" } else { "refused" });
    debug
}

fn belonging(file: OpenFile, is_fetched: bool, (stripped, limits): (&Outline, Limits)) -> Option<DebugFile> {
    let tables = SymbolFile::open(&file, limits).ok()?;
    let is_it = match stripped.build_id() {
        Some(id) => tables.outline().build_id() == Some(id),
        None => stripped.debug_link()?.is_of(&file).ok()?,
    };
    (is_it && tables.symbols() > 0).then(|| DebugFile { file: Arc::new(file), tables, is_fetched })
}

/// Paths where the debug file may be, each with the view in which it is one.
fn paths(sight: Sight<'_>, stripped: &Outline) -> Vec<(PathBuf, View)> {
    let mut paths = Vec::new();
    if let Some(path) = stripped.build_id().and_then(|id| below_build_ids(id, ".debug")) {
        paths.extend([(path.clone(), View::Agent), (path, View::Process)]);
    }
    let Some(link) = stripped.debug_link() else { return paths };
    let directory =
        |path: &Path| path.parent().filter(|directory| directory.is_absolute()).map(Path::to_owned);
    if let Some(directory) = directory(sight.file.own_path.as_ref().unwrap_or(&sight.file.path)) {
        let below_root = Path::new(ROOT).join(directory.strip_prefix("/").unwrap_or(&directory));
        for directory in [&below_root, &directory, &directory.join(".debug")] {
            paths.push((directory.join(link.name()), View::Process));
        }
        // The process may be gone.
        paths.push((below_root.join(link.name()), View::Agent));
    }
    if let Some(directory) = directory(&sight.file.path) {
        let beside = [directory.join(link.name()), directory.join(".debug").join(link.name())];
        paths.extend(beside.map(|path| (path, View::AgentBeside)));
    }
    paths
}

/// The path below [`ROOT`] of the file of a build ID; `None` for an empty one.
pub(crate) fn below_build_ids(build_id: &[u8], suffix: &str) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(Path::new(ROOT).join(".build-id").join(hex(&[*first])).join(hex(rest) + suffix))
}
