//! Debug information of which parts are in other files: split by the compiler, or shared by several programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use object::{Object as _, ObjectSection as _};
use proptest::prelude::*;

use super::{addresses, compare_with, cpp};
use crate::{ByteSource, DebugPart, DebugParts, Limits, LineTables};

/// Parts in the directory of a program.
#[derive(Debug)]
struct Beside {
    program: PathBuf,
    /// Files that have been opened.
    opened: Vec<PathBuf>,
}

impl Beside {
    fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), opened: Vec::new() }
    }
}

/// A file in memory.
struct Bytes(Vec<u8>);

impl ByteSource for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.as_slice().read_exact_at(offset, buffer)
    }
}

impl DebugParts for Beside {
    fn open(&mut self, part: DebugPart<'_>) -> Option<Box<dyn ByteSource>> {
        let path = match part {
            DebugPart::Shared { path, .. } => self.program.with_file_name(path),
            DebugPart::Package => self.program.with_extension("dwp"),
            DebugPart::Unit { directory, path } => Path::new(directory).join(path),
        };
        let file = fs::read(&path).ok()?;
        self.opened.push(path);
        Some(Box::new(Bytes(file)))
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Compiles a program of this directory in two steps, in another directory: its split units stay there.
fn build(dir: &Path, name: &str, (compiler, options, source): (&str, &[&str], &str)) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dwarf/tests").join(source);
    let (object, program) = (format!("{name}.o"), dir.join(format!("{name}.elf")));
    let compiler = || {
        let mut command = Command::new(compiler);
        command.current_dir(dir);
        command
    };
    run(compiler().args(options).arg("-c").arg(source).args(["-o", &object]));
    run(compiler().arg(object).arg("-o").arg(&program));
    program
}

fn code(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let object = object::File::parse(bytes.as_slice()).unwrap();
    object.section_by_name(".text").unwrap().data().unwrap().to_vec()
}

/// A program of C, a program of C++ and one of an older format, each with its units in files of their own.
fn split_programs() -> [(&'static str, Vec<&'static str>, &'static str, &'static str); 3] {
    [
        ("cc", vec!["-O2", "-gdwarf-5"], "inlined.c", "llvm-dwp"),
        ("cc", vec!["-O2", "-gdwarf-4"], "inlined.c", "dwp"),
        (cpp(), vec!["-x", "c++", "-O2", "-gdwarf-4"], "inlined.cpp", "dwp"),
    ]
}

/// What a program whose units are in files of their own has as lines and inlined functions is what binutils have of the
/// same program in one piece: from those files, and from the package that they have been put together in.
#[test]
fn split_units_have_the_lines_and_functions_of_whole_ones() {
    for (compiler, options, source, packer) in split_programs() {
        let dir = tempfile::tempdir().unwrap();
        let whole = build(dir.path(), "whole", (compiler, &options, source));
        let split =
            build(dir.path(), "split", (compiler, &[&options[..], &["-gsplit-dwarf"]].concat(), source));
        assert_eq!(code(&whole), code(&split), "{compiler} {options:?}");
        let mut parts = Beside::new(&split);
        let counts = compare_with((&split, &whole), &mut parts, 1000);
        let count = |kind: &str| counts.get(kind).copied().unwrap_or(0);
        assert_eq!(count("different"), 0, "{source}: {counts:?}");
        assert!(count("same") >= 300 && count("deep") >= 30, "{source}: {counts:?}");
        assert_eq!(parts.opened, [dir.path().join("split.dwo")]);

        let mut command = Command::new(packer);
        let packed = command.current_dir(dir.path()).args(["-e", "split.elf", "-o", "split.dwp"]).output();
        // That of LLVM, which knows version 5, is not everywhere.
        let Ok(output) = packed else {
            assert_eq!(packer, "llvm-dwp");
            continue;
        };
        assert!(output.status.success(), "{packer}: {}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(dir.path().join("split.dwo")).unwrap();
        let mut parts = Beside::new(&split);
        assert_eq!(compare_with((&split, &whole), &mut parts, 1000), counts);
        assert_eq!(parts.opened, [dir.path().join("split.dwp")]);
    }
}

/// A file with a split unit that was compiled from something else is not believed, and lines are there without.
#[test]
fn a_split_unit_of_another_number_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["-O2", "-gdwarf-5", "-gsplit-dwarf"];
    let split = build(dir.path(), "split", ("cc", &options, "inlined.c"));
    let others = [&options[..], &["-DOTHER=1", "-O1"]].concat();
    let _other = build(dir.path(), "other", ("cc", &others, "inlined.c"));
    fs::rename(dir.path().join("other.dwo"), dir.path().join("split.dwo")).unwrap();
    let bytes = Bytes(fs::read(&split).unwrap());
    let mut tables = LineTables::open(&bytes, Limits::default()).unwrap().unwrap();
    let mut parts = Beside::new(&split);
    let lines = tables.lines(&bytes, &mut parts, &addresses(&bytes.0, 500));
    assert_eq!(parts.opened, [dir.path().join("split.dwo")]);
    let lines: Vec<_> = lines.into_iter().map(Result::unwrap).filter(|lines| !lines.is_empty()).collect();
    assert!(lines.len() > 100);
    assert!(lines.iter().all(|lines| lines.len() == 1 && lines[0].function.is_empty()));
}

/// The program of this directory that shares debug information with another, which is not here, in a third file.
///
/// Made by `cc -gdwarf-5 -O2 -Wl,--build-id` (Debian's gcc 12.2) of `one.c`, and of a copy of it that says `two` for
/// `one`; then `dwz -m shared.debug one two` (dwz 0.15). The program is in `whole.elf` as it was before: binutils do
/// not find the names of inlined functions in the third file.
fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dwarf/tests/dwz/one.elf")
}

#[test]
fn what_programs_share_has_the_lines_and_functions_of_addr2line() {
    let program = shared();
    let mut parts = Beside::new(&program);
    let whole = program.with_file_name("whole.elf");
    assert_eq!(code(&whole), code(&program));
    let counts = compare_with((&program, &whole), &mut parts, 1000);
    let count = |kind: &str| counts.get(kind).copied().unwrap_or(0);
    assert_eq!(count("different"), 0, "{counts:?}");
    assert!(count("same") >= 100 && count("deep") >= 50, "{counts:?}");
    assert_eq!(parts.opened, [program.with_file_name("shared.debug")]);
    // Without the other file, functions that were inlined are there without names.
    let bytes = Bytes(fs::read(&program).unwrap());
    let mut tables = LineTables::open(&bytes, Limits::default()).unwrap().unwrap();
    let lines = tables.lines(&bytes, &mut (), &addresses(&bytes.0, 1000));
    let lines: Vec<_> = lines.into_iter().map(Result::unwrap).filter(|lines| lines.len() > 1).collect();
    assert!(!lines.is_empty() && lines.iter().all(|lines| lines[0].function.is_empty()));
}

/// A part whose bytes have been damaged.
struct Damaged(Vec<u8>);

impl DebugParts for Damaged {
    fn open(&mut self, part: DebugPart<'_>) -> Option<Box<dyn ByteSource>> {
        let is_wanted = !matches!(part, DebugPart::Package) || self.0.starts_with(b"\x7fELF");
        is_wanted.then(|| Box::new(Bytes(self.0.clone())) as Box<dyn ByteSource>)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is damaged in a part, reading it ends, and takes no more room than it may.
    #[test]
    fn damaged_parts_have_functions_or_none(
        which in 0..3_usize, damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        static FILES: LazyLock<[(Vec<u8>, Vec<u8>); 3]> = LazyLock::new(|| {
            let dir = tempfile::tempdir().unwrap();
            let options = ["-O2", "-gdwarf-4", "-gsplit-dwarf"];
            let split = build(dir.path(), "split", ("cc", &options, "inlined.c"));
            run(Command::new("dwp").current_dir(dir.path()).args(["-e", "split.elf", "-o", "split.dwp"]));
            let of = |path: PathBuf| fs::read(path).unwrap();
            let program = of(split);
            [
                (program.clone(), of(dir.path().join("split.dwo"))),
                (program, of(dir.path().join("split.dwp"))),
                (of(shared()), of(shared().with_file_name("shared.debug"))),
            ]
        });
        const MEMORY: usize = 1 << 20;
        let (program, part) = &FILES[which];
        let mut part = part.clone();
        // Names of sections are left alone: a file without sections is soon read.
        damages.iter().for_each(|(at, byte)| *at.get_mut(&mut part) = *byte);
        let program = Bytes(program.clone());
        let mut tables = LineTables::open(&program, Limits { memory: MEMORY }).unwrap().unwrap();
        let _lines = tables.lines(&program, &mut Damaged(part), &addresses(&program.0, 50));
        prop_assert!(tables.memory() <= 2 * MEMORY);
    }
}
