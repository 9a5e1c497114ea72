//! More programs than there may be files open.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use pdata::{MappedFile, Pc, Uid};
use procfs::ProcSource;
use symbolize::{Demangle, Limits, SymbolFile};

use super::make::{ENDED, announced};
use crate::Config;
use crate::files::{FileSettings, Files};
use crate::request::Unnamed;
use crate::sight::Sight;

const PROGRAMS: usize = 10_000;
/// Programs that are met at once.
const AT_ONCE: usize = 100;
/// Number of programs of which one is gone before anybody has seen it.
const GONE_OF: usize = 10;
const USERS: usize = 3;
/// Files that the reader has open, which is a thread of this process in tests: it closes one a moment after the file
/// has been let go of.
const OF_READER: usize = 1;
const PATIENCE: Duration = Duration::from_secs(120);
const SOURCE: &str =
    "void function_to_name(void) { for (;;) ; }\nvoid _start(void) { function_to_name(); }\n";

/// A program of about a kilobyte, and the offset of a function of it.
fn small_program(dir: &Path) -> (Vec<u8>, u64) {
    let (source, path) = (dir.join("source.c"), dir.join("program"));
    fs::write(&source, SOURCE).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-O0", "-nostdlib", "-static", "-no-pie", "-Wl,-n", "-o"]).arg(&path).arg(source);
    assert!(compiler.status().unwrap().success());
    let bytes = fs::read(path).unwrap();
    let symbols = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
    let is_it = |offset: &u64| {
        let found = symbols.address_of(*offset).and_then(|at| symbols.resolve(bytes.as_slice(), at).ok()?);
        found.is_some_and(|found| found.name == "function_to_name")
    };
    let offset = (0..bytes.len() as u64).find(is_it).unwrap();
    (bytes, offset)
}

/// Number of files of a directory that this process has open, also if they have been removed since.
fn open_files_of(dir: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    // Others open and close files at the same time.
    let paths = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    paths.filter(|path| path.starts_with(dir)).count()
}

/// Waits until that number of files of the directory is open.
fn wait_for_open_files(dir: &Path, count: usize) {
    let until = Instant::now() + PATIENCE;
    while open_files_of(dir) != count {
        assert!(Instant::now() < until, "{} files are open, expected {count}", open_files_of(dir));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Metrics by name and label, as `run` leaves them.
fn metrics_of(run: impl FnOnce()) -> BTreeMap<(String, String), f64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, run);
    let all = snapshotter.snapshot().into_vec().into_iter();
    let values = all.filter_map(|(key, _, _, value)| {
        let name = key.key().name().strip_prefix("otelcol_processor_symbolizer_")?.to_owned();
        let label = key.key().labels().map(|label| label.value()).collect();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => return None,
        };
        Some(((name, label), value))
    });
    values.collect()
}

fn sight(file: &MappedFile, number: usize) -> Sight<'_> {
    let user = Some(Uid(u32::try_from(number % USERS).unwrap()));
    Sight { file, process: ENDED, range: (Pc(1), Pc(2)), user }
}

/// Has all programs named in groups; each program is removed as soon as it has been named.
fn name_all(files: &mut Files, dir: &Path) {
    let (program, offset) = small_program(dir);
    let moved = dir.join("moved");
    fs::create_dir(&moved).unwrap();
    for first in (0..PROGRAMS).step_by(AT_ONCE) {
        let made = (first..first + AT_ONCE).map(|number| {
            let path = dir.join(number.to_string());
            fs::write(&path, &program).unwrap();
            let file = announced(&path);
            if number % GONE_OF == 0 {
                // Moved and not removed, so that its inode is not another's at once.
                fs::rename(&path, moved.join(number.to_string())).unwrap();
            }
            (number, path, file)
        });
        let made: Vec<_> = made.collect();
        for (number, _, file) in made.iter().filter(|(number, ..)| number % 2 == 0) {
            assert!(!files.is_known_or_opened(sight(file, *number)));
        }
        for (number, path, file) in &made {
            let names = files.names(sight(file, *number), &[offset]);
            if number % GONE_OF == 0 {
                assert_eq!(names.unwrap_err(), Unnamed::Gone);
                continue;
            }
            let lines = names.unwrap()[0].1.clone().unwrap();
            assert_eq!(&*lines.0[0].function.name, "function_to_name");
            fs::remove_file(path).unwrap();
        }
        let open = open_files_of(dir);
        assert!(open <= Config::MAX_OPEN_FILES + OF_READER, "{open} files are open");
    }
}

/// Of ten thousand programs that come and go, no more are ever open than may be, and the metrics show their number;
/// each program counts once, and once more when it makes room; in the end none is open.
#[test]
fn ten_thousand_programs_take_no_more_handles_than_may_be_and_leave_none() {
    let dir = tempfile::tempdir().unwrap();
    let max_open = Config::MAX_OPEN_FILES;
    let settings =
        FileSettings { max_bytes: 256 << 20, max_open, demangle: Demangle::Simplified, lines: false };
    assert_eq!(open_files_of(dir.path()), 0);
    let metrics = metrics_of(|| {
        let mut files = Files::new(ProcSource::new("/proc"), settings);
        name_all(&mut files, dir.path());
        assert_eq!(files.held().0, max_open);
        wait_for_open_files(dir.path(), max_open);
    });
    wait_for_open_files(dir.path(), 0);
    let value = |name: &str, label: &str| {
        metrics.get(&(name.to_owned(), label.to_owned())).copied().unwrap_or_default()
    };
    let (programs, gone, open) = (PROGRAMS as f64, (PROGRAMS / GONE_OF) as f64, max_open as f64);
    let read = value("tables_total", "read");
    assert_eq!((read, value("tables_total", "gone")), (programs - gone, gone));
    let outcomes = metrics.iter().filter(|((name, _), _)| name == "tables_total");
    assert_eq!(outcomes.map(|(_, count)| count).sum::<f64>(), programs);
    assert_eq!(value("open_files", ""), open);
    assert_eq!(value("evicted_files_total", "max_open_files") + open, read);
}
