//! Lines of source, and functions that were inlined there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pdata::{Batch, BootTime, Event, Lines, MappedFile, Pid, ProcessKey, Watermark};
use symbolize::{Limits, SymbolFile};
use tower::{Layer as _, Service as _, ServiceExt as _};

use super::make::{announced, batch, frame, sample};
use crate::Config;
use crate::layer::SymbolizerLayer;

const SOURCE: &str = "\
static inline __attribute__((always_inline)) int inner(volatile int *at)
{
    return *at + 7;
}
static inline __attribute__((always_inline)) int middle(volatile int *at)
{
    return inner(at) * 3;
}
__attribute__((noinline)) int outer(volatile int *at)
{
    return middle(at);
}
int main(int argc, char **argv)
{
    (void)argv;
    return outer(&argc);
}
";

/// A program with debug information.
pub(super) fn program(dir: &Path) -> PathBuf {
    let (source, path) = (dir.join("source.c"), dir.join("program"));
    std::fs::write(&source, SOURCE).unwrap();
    run(Command::new("cc").args(["-g", "-O2", "-Wl,--build-id", "-o"]).arg(&path).arg(source));
    path
}

pub(super) fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Offset in a program of the first instruction of `outer`, which is one of `inner`: it reads the number.
pub(super) fn offset(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let symbols = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
    let is_outer = |offset: &u64| {
        let found = symbols.address_of(*offset).and_then(|at| symbols.resolve(bytes.as_slice(), at).ok()?);
        found.is_some_and(|found| found.name == "outer")
    };
    (0..bytes.len() as u64).find(is_outer).unwrap()
}

/// The lines of frames at an offset after the stage, in `batches` batches.
async fn lines_of(config: &Config, file: MappedFile, offset: u64, batches: u64) -> Vec<Arc<Lines>> {
    let taken = Arc::new(Mutex::new(Vec::<Batch>::new()));
    let keep = Arc::clone(&taken);
    let inner = tower::service_fn(move |batch: Batch| {
        let watermark = batch.watermark;
        keep.lock().unwrap().push(batch);
        std::future::ready(Ok::<Watermark, std::convert::Infallible>(watermark))
    });
    let (file, mut stage) = (Arc::new(file), SymbolizerLayer::new(config).layer(inner));
    for at in 1..=batches {
        let mut event = sample(at * 10, vec![frame(&file, offset)]);
        if let Event::Sample(sample) = &mut event {
            // Debug files are looked for as the process sees them.
            sample.key.process = own_process();
        }
        let batch = batch(vec![event], at * 10 + 1);
        stage.ready().await.unwrap().call(batch).await.unwrap();
    }
    let end = Batch { watermark: Watermark::END, ..batch(vec![], 0) };
    stage.ready().await.unwrap().call(end).await.unwrap();
    let taken = taken.lock().unwrap();
    taken
        .iter()
        .flat_map(Batch::samples)
        .map(|sample| sample.stack.frames[0].lines.clone().unwrap())
        .collect()
}

/// The key of this process.
pub(super) fn own_process() -> ProcessKey {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().nth(19).unwrap().parse().unwrap();
    ProcessKey { pid: Pid(std::process::id()), start_time: BootTime::from_nanos(ticks * 10_000_000) }
}

pub(super) fn with_lines() -> Config {
    // However slow the machine is.
    Config { lines: true, timeout: Duration::from_secs(120), ..Config::default() }
}

pub(super) fn shown(lines: &Lines) -> Vec<(String, String, u32, u32)> {
    let each = |line: &pdata::Line| {
        let file = line.function.file.as_deref().unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default().to_owned();
        (line.function.name.to_string(), file, line.line, line.function.start_line)
    };
    lines.0.iter().map(each).collect()
}

pub(super) fn expected() -> Vec<(String, String, u32, u32)> {
    let line = |name: &str, line, start| (name.to_owned(), "source.c".to_owned(), line, start);
    vec![line("inner", 3, 1), line("middle", 7, 5), line("outer", 11, 9)]
}

#[tokio::test]
async fn a_frame_has_the_functions_that_were_inlined_there_and_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = program(dir.path());
    let lines = lines_of(&with_lines(), announced(&path), offset(&path), 3).await;
    assert_eq!(lines.len(), 3);
    for lines in lines {
        assert_eq!(shown(&lines), expected());
    }
    let config = Config { lines: false, ..with_lines() };
    let lines = lines_of(&config, announced(&path), offset(&path), 1).await;
    assert_eq!(shown(&lines[0]), [("outer".to_owned(), String::new(), 0, 0)]);
}

/// Debug information that was moved to a file beside the program is found by the name in the program's debug link.
#[tokio::test]
async fn lines_are_in_the_file_that_debug_information_was_moved_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = program(dir.path());
    let (at, debug) = (offset(&path), dir.path().join("program.debug"));
    run(Command::new("objcopy").arg("--only-keep-debug").arg(&path).arg(&debug));
    run(Command::new("strip").arg(&path));
    run(Command::new("objcopy").current_dir(dir.path()).arg("--add-gnu-debuglink=program.debug").arg(&path));
    let lines = lines_of(&with_lines(), announced(&path), at, 1).await;
    assert_eq!(shown(&lines[0]), expected());
}

/// A program whose unit is in a file of its own, which is in the directory where the compiler ran.
fn split_program(dir: &Path) -> PathBuf {
    let (source, path) = (dir.join("source.c"), dir.join("program"));
    std::fs::write(&source, SOURCE).unwrap();
    run(Command::new("cc").current_dir(dir).args(["-g", "-O2", "-gsplit-dwarf", "-c", "source.c"]));
    run(Command::new("cc").current_dir(dir).args(["-o", "program", "source.o"]));
    path
}

/// Inlined functions are in the file that the compiler has left beside the object, which has the program's owner.
#[tokio::test]
async fn inlined_functions_are_in_the_file_that_the_compiler_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = split_program(dir.path());
    let lines = lines_of(&with_lines(), announced(&path), offset(&path), 2).await;
    assert!(lines.iter().all(|lines| shown(lines) == expected()), "{lines:?}");
}

/// A program of one user does not have the agent open a file of another.
#[tokio::test]
async fn a_file_of_another_user_is_not_what_the_compiler_has_left() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give files away.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = split_program(dir.path());
    let unit = dir.path().join("source.dwo");
    let line_only = [("outer".to_owned(), "source.c".to_owned(), 3, 0)];
    for (owner_of_program, owner_of_unit, is_believed) in
        [(0, 12_345, false), (12_345, 12_345, true), (12_345, 0, false)]
    {
        std::os::unix::fs::chown(&path, Some(owner_of_program), None).unwrap();
        std::os::unix::fs::chown(&unit, Some(owner_of_unit), None).unwrap();
        let lines = lines_of(&with_lines(), announced(&path), offset(&path), 1).await;
        let shown = shown(&lines[0]);
        assert_eq!(shown == expected(), is_believed, "{owner_of_program} {owner_of_unit}: {shown:?}");
        assert!(is_believed || shown == line_only, "{shown:?}");
    }
}

/// A program whose debug information is damaged keeps its names.
#[tokio::test]
async fn what_has_no_usable_lines_keeps_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = program(dir.path());
    let at = offset(&path);
    let damage = dir.path().join("damage");
    std::fs::write(&damage, [0xff; 4096]).unwrap();
    let section = format!(".debug_info={}", damage.display());
    run(Command::new("objcopy").arg("--update-section").arg(section).arg(&path));
    let lines = lines_of(&with_lines(), announced(&path), at, 2).await;
    assert!(lines.iter().all(|lines| shown(lines) == [("outer".to_owned(), String::new(), 0, 0)]));
}
