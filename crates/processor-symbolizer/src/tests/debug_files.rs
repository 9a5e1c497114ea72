//! Debug files beside a program whose processes have ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use foreignfile::Quarantine;
use pdata::{MappedFile, Pc, ProcessKey, Uid};
use procfs::ProcSource;
use symbolize::{Demangle, Limits, Outline, SymbolFile};

use super::jit::key_of;
use super::make::{ENDED, announced};
use crate::debug_files;
use crate::files::{FileSettings, Files};
use crate::request::{Name, Unnamed};
use crate::sight::Sight;

const SOURCE: &str = "\
static __attribute__((noinline)) int inner(volatile int *at)
{
    return *at + 7;
}
int main(int argc, char **argv)
{
    (void)argv;
    return inner(&argc) * 3;
}
";

/// A stripped program in a directory of its own, and the file beside it that its symbols were moved to.
struct Stripped {
    dir: tempfile::TempDir,
    program: PathBuf,
    debug: PathBuf,
    file: MappedFile,
    /// Offset of the first byte of `inner`.
    inner: u64,
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

impl Stripped {
    /// The program, which has a build ID or none, with its debug file in that directory below its own.
    fn new(build_id: &str, below: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let (source, program) = (path.join("source.c"), path.join("program"));
        fs::write(&source, SOURCE).unwrap();
        let build_id = format!("-Wl,--build-id={build_id}");
        run(Command::new("cc").args(["-O2", &build_id, "-o"]).arg(&program).arg(source));
        let inner = offset_of_inner(&program);
        let debug = path.join(below).join("program.debug");
        fs::create_dir_all(debug.parent().unwrap()).unwrap();
        let objcopy = |arguments: &[&str], files: &[&Path]| {
            run(Command::new("objcopy").args(arguments).args(files));
        };
        objcopy(&["--only-keep-debug"], &[&program, &debug]);
        objcopy(&["--strip-all", &format!("--add-gnu-debuglink={}", debug.display())], &[&program]);
        Self { dir, file: announced(&program), program, debug, inner }
    }

    fn name(&self, files: &mut Files, process: ProcessKey) -> Result<String, Unnamed> {
        let names: Vec<(u64, Name)> = files.names(self.sight(process), &[self.inner])?;
        names[0].1.clone().map(|lines| lines.0[0].function.name.to_string())
    }

    fn sight(&self, process: ProcessKey) -> Sight<'_> {
        Sight { file: &self.file, process, range: (Pc(1), Pc(2)), user: Some(Uid(0)) }
    }
}

fn offset_of_inner(program: &Path) -> u64 {
    let bytes = fs::read(program).unwrap();
    let symbols = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
    let is_inner = |offset: &u64| {
        let found = symbols.address_of(*offset).and_then(|at| symbols.resolve(bytes.as_slice(), at).ok()?);
        found.is_some_and(|found| found.name == "inner")
    };
    (0..bytes.len() as u64).find(is_inner).unwrap()
}

fn files(max_open: usize) -> Files {
    let max_bytes = 64 << 20;
    let settings = FileSettings { max_bytes, max_open, demangle: Demangle::Simplified, lines: false };
    Files::new(ProcSource::new("/proc"), settings)
}

/// A process that sees what this one sees.
fn process() -> Child {
    Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap()
}

fn end(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Build IDs of programs: the linker's own choice, and none.
const BUILD_IDS: [&str; 2] = ["sha1", "none"];
const BELOW: [&str; 2] = ["", ".debug"];

/// The debug file is opened with the program. The tables of both are read when the process, the program, its debug file
/// and their directory have gone.
#[test]
#[ignore = "needs root: only root's debug files are believed"]
fn a_debug_file_is_open_from_first_sight_on() {
    for (build_id, below) in BUILD_IDS.iter().zip(BELOW) {
        let (stripped, process, mut files) = (Stripped::new(build_id, below), process(), files(8));
        let key = key_of(process.id());
        assert!(!files.is_known_or_opened(stripped.sight(key)));
        assert_eq!(files.open_files(), 2);
        end(process);
        fs::remove_dir_all(stripped.dir.path()).unwrap();
        assert_eq!(stripped.name(&mut files, key).as_deref(), Ok("inner"), "{build_id} {below}");
        assert_eq!(files.open_files(), 2);
    }
}

/// The process has ended before its program is seen for the first time.
#[test]
#[ignore = "needs root: only root's debug files are believed"]
fn a_debug_file_beside_a_program_is_found_after_the_process() {
    for build_id in BUILD_IDS {
        for below in BELOW {
            let stripped = Stripped::new(build_id, below);
            let name = stripped.name(&mut files(8), ENDED);
            assert_eq!(name.as_deref(), Ok("inner"), "{build_id} {below}");
        }
    }
}

/// A file of root beside a program of a user is not opened, whatever it has: the user has chosen its name. The user's
/// own is.
#[test]
#[ignore = "needs root: gives files away"]
fn a_file_that_is_not_of_the_programs_owner_is_not_opened() {
    let chown = |path: &Path, user| std::os::unix::fs::chown(path, Some(user), None).unwrap();
    for (user, found) in [(12_345, Err(Unnamed::Stripped)), (0, Ok("inner".to_owned()))] {
        for process in [true, false] {
            let mut stripped = Stripped::new("sha1", "");
            let sleeper = process.then(self::process);
            let key = sleeper.as_ref().map_or(ENDED, |sleeper| key_of(sleeper.id()));
            chown(&stripped.program, user);
            stripped.file = announced(&stripped.program);
            assert_eq!(stripped.name(&mut files(8), key), found, "{user} {process}");
            chown(&stripped.debug, user);
            assert_eq!(stripped.name(&mut files(8), key), Ok("inner".to_owned()), "{user} {process}");
            sleeper.into_iter().for_each(end);
        }
    }
}

/// A file beside a program is not its debug file because of its name: it belongs to the program's owner, and has the
/// build ID or the checksum.
#[test]
#[ignore = "needs root: gives files away"]
fn another_file_in_the_place_of_a_debug_file_names_nothing() {
    for build_id in BUILD_IDS {
        let stripped = Stripped::new(build_id, "");
        std::os::unix::fs::chown(&stripped.debug, Some(12_345), None).unwrap();
        assert_eq!(stripped.name(&mut files(8), ENDED), Err(Unnamed::Stripped));
        let other = Stripped::new("0xfeed", "");
        fs::rename(&other.debug, &stripped.debug).unwrap();
        assert_eq!(stripped.name(&mut files(8), ENDED), Err(Unnamed::Stripped));
    }
}

/// The path of a program that is gone is another's by now, and its directory may be, too: files there are not opened.
#[test]
#[ignore = "needs root: only root's debug files are believed"]
fn the_directory_of_a_path_that_has_another_file_is_not_looked_into() {
    let stripped = Stripped::new("sha1", "");
    let (source, quarantine) = (ProcSource::new("/proc"), Quarantine::of_this_process());
    let mut reader = foreignfile::Files::new(quarantine);
    let bytes = fs::read(&stripped.program).unwrap();
    let outline = Outline::read(bytes.as_slice()).unwrap();
    let mut look =
        |within| debug_files::open(&source, &mut reader, stripped.sight(ENDED), (&outline, 0), within);
    assert!(look(Duration::ZERO).is_none(), "no time to look");
    let mut find = || look(Duration::from_secs(60)).expect("it looks in time").len();
    assert_eq!(find(), 1);
    let other = stripped.dir.path().join("other");
    fs::copy(&stripped.program, &other).unwrap();
    fs::rename(other, &stripped.program).unwrap();
    assert_eq!(find(), 0);
}

/// Debug files count among the files that may be open, and leave room for programs of others.
#[test]
#[ignore = "needs root: only root's debug files are believed"]
fn debug_files_are_among_the_files_that_may_be_open() {
    let all: Vec<_> = (0..6).map(|_| Stripped::new("sha1", "")).collect();
    let mut files = files(8);
    for stripped in &all {
        files.is_known_or_opened(stripped.sight(ENDED));
        // One user has half of them at most.
        assert!(files.open_files() <= 4);
    }
    for stripped in &all {
        assert_eq!(stripped.name(&mut files, ENDED).as_deref(), Ok("inner"));
        assert!(files.open_files() <= 8, "{}", files.open_files());
    }
}
