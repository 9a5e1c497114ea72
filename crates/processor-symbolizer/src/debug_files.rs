//! Files that have the symbols which others were stripped of, as distributions install them: below `/usr/lib/debug` and
//! beside the file. Only those of root are read, since they are found by a name that the stripped file chooses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytesource::OpenFile;
use foreignfile::{FilePlace, Opened};
use procfs::ProcSource;
use symbolize::{Limits, SymbolFile};

use crate::metrics;
use crate::sight::Sight;
use crate::symbols::DebugFile;

/// Directory in which distributions install debug files.
pub(crate) const ROOT: &str = "/usr/lib/debug";
/// The longest that finding and reading one debug file may take.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(10);

/// The file with the symbols that a file was stripped of; `None` if none is installed. The symbols belong to the file
/// if its build ID, or else the checksum in its debug link, fits.
pub(crate) fn find(
    source: &ProcSource,
    reader: &mut foreignfile::Files,
    sight: Sight<'_>,
    stripped: &SymbolFile,
    limits: Limits,
) -> Option<DebugFile> {
    let process = source.process(sight.process);
    for (path, of_agent) in paths(sight, stripped) {
        let place = match of_agent {
            // Root has made the links there: packages of some distributions have one for each build ID.
            true => FilePlace::Own { path: &path, follows_links: true },
            false => FilePlace::Seen { process: &process, path: &path },
        };
        let Ok(opened) = reader.open_data(place, READ_WITHIN, |found| found.uid == 0) else { continue };
        let debug = read(&opened, stripped, limits);
        metrics::debug_file(if debug.is_some() { "read" } else { "refused" });
        if debug.is_some() {
            return debug;
        }
    }
    None
}

/// Reads a debug file, if its file system asks nobody when the file is read, and if it belongs to the stripped file.
fn read(opened: &Opened<'_>, stripped: &SymbolFile, limits: Limits) -> Option<DebugFile> {
    let file = OpenFile::new(opened.shared()?.try_clone().ok()?).ok()?;
    let tables = SymbolFile::open(&file, limits).ok()?;
    let is_it = match stripped.build_id() {
        Some(id) => tables.build_id() == Some(id),
        None => stripped.debug_link()?.is_of(&file).ok()?,
    };
    (is_it && tables.symbols() > 0).then(|| DebugFile { file: Arc::new(file), tables })
}

/// Paths where the debug file may be, each with true for a path in the agent's view, false for one in the process's.
fn paths(sight: Sight<'_>, stripped: &SymbolFile) -> Vec<(PathBuf, bool)> {
    let mut paths = Vec::new();
    if let Some(path) = stripped.build_id().and_then(|id| below_build_ids(id, ".debug")) {
        paths.extend([(path.clone(), true), (path, false)]);
    }
    let own_path = sight.file.own_path.as_ref().unwrap_or(&sight.file.path);
    let directory = own_path.parent().filter(|directory| directory.is_absolute());
    if let Some((link, directory)) = stripped.debug_link().zip(directory) {
        let below_root = Path::new(ROOT).join(directory.strip_prefix("/").unwrap_or(directory));
        for directory in [&below_root, &directory.to_owned(), &directory.join(".debug")] {
            paths.push((directory.join(link.name()), false));
        }
        // The process may be gone.
        paths.push((below_root.join(link.name()), true));
    }
    paths
}

/// The path below [`ROOT`] of the file of a build ID; `None` for an empty one.
pub(crate) fn below_build_ids(build_id: &[u8], suffix: &str) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(Path::new(ROOT).join(".build-id").join(hex(&[*first])).join(hex(rest) + suffix))
}
