//! Debug information of which parts are in other files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use object::{Object as _, ObjectSection as _};
use proptest::prelude::*;

use super::shared::{shared, shared_by_standard};
use super::{addresses, compare_with, cpp};
use crate::dwarf::sections::{FileKind, Sections};
use crate::dwarf::window::Effort;
use crate::elf::Elf;
use crate::{ByteSource, DebugPart, DebugParts, Limits, LineTables, SymbolError};

/// Parts in the directory of a program.
#[derive(Debug)]
pub(super) struct Beside {
    program: PathBuf,
    /// Files that have been opened.
    pub(super) opened: Vec<PathBuf>,
}

impl Beside {
    pub(super) fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), opened: Vec::new() }
    }
}

/// A file in memory.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl ByteSource for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.as_slice().read_exact_at(offset, buffer)
    }
}

impl DebugParts for Beside {
    fn open(&mut self, part: DebugPart<'_>) -> io::Result<Option<Box<dyn ByteSource>>> {
        let path = match part {
            DebugPart::Shared { path, .. } => self.program.with_file_name(path),
            DebugPart::Package => self.program.with_extension("dwp"),
            DebugPart::Unit { directory, path } => Path::new(directory).join(path),
        };
        let Ok(file) = fs::read(&path) else { return Ok(None) };
        self.opened.push(path);
        Ok(Some(Box::new(Bytes(file))))
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

pub(super) fn code(path: &Path) -> Vec<u8> {
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

/// A program whose units are in files of their own has the lines and inlined functions that binutils find in the same
/// program in one piece: from those files, and from the package that they have been put together in.
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

/// The names of inlined functions that a program's addresses have, and the number of addresses with lines.
pub(super) fn inlined(
    tables: &mut LineTables,
    program: &Bytes,
    parts: &mut dyn DebugParts,
) -> (Vec<String>, usize) {
    let found = tables.lines(program, parts, &addresses(&program.0, 500));
    let found: Vec<_> = found.into_iter().map(Result::unwrap).filter(|lines| !lines.is_empty()).collect();
    let names = found.iter().filter(|lines| lines.len() > 1).map(|lines| lines[0].function.clone());
    (names.filter(|name| !name.is_empty()).collect(), found.len())
}

/// A program of one split unit, in this directory.
fn split_program(dir: &Path, options: &[&str]) -> (PathBuf, Bytes) {
    let options = [&["-O2", "-gdwarf-4", "-gsplit-dwarf"], options].concat();
    let path = build(dir, "split", ("cc", &options, "inlined.c"));
    let bytes = Bytes(fs::read(&path).unwrap());
    (path, bytes)
}

/// Parts that cannot be had until they are there.
struct Later {
    there: Beside,
    refused: Option<DebugPartKind>,
    is_late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DebugPartKind {
    Shared,
    Package,
    Unit,
}

impl DebugParts for Later {
    fn open(&mut self, part: DebugPart<'_>) -> io::Result<Option<Box<dyn ByteSource>>> {
        let kind = match part {
            DebugPart::Shared { .. } => DebugPartKind::Shared,
            DebugPart::Package => DebugPartKind::Package,
            DebugPart::Unit { .. } => DebugPartKind::Unit,
        };
        if self.refused == Some(kind) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.there.open(part)
    }

    fn is_late(&self) -> bool {
        self.is_late
    }
}

/// A part that cannot be had for the moment is not one that is not there: lines are there without it, and it is asked
/// for again.
#[test]
fn a_part_that_cannot_be_had_now_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let (path, program) = split_program(dir.path(), &[]);
    let shared = shared();
    let shared_program = Bytes(fs::read(&shared).unwrap());
    for (path, program, refused) in [
        (&path, &program, DebugPartKind::Package),
        (&path, &program, DebugPartKind::Unit),
        (&shared, &shared_program, DebugPartKind::Shared),
    ] {
        let mut tables = LineTables::open(program, Limits::default()).unwrap().unwrap();
        let mut parts = Later { there: Beside::new(path), refused: Some(refused), is_late: false };
        let (names, lines) = inlined(&mut tables, program, &mut parts);
        assert!(names.is_empty() && lines > 50, "{names:?}, {lines} lines");
        assert_eq!(parts.there.opened.len(), 0);
        tables.forget_partial();
        parts.refused = None;
        assert_ne!(inlined(&mut tables, program, &mut parts).0, Vec::<String>::new());
        // What is whole stays.
        let opened = parts.there.opened.len();
        tables.forget_partial();
        inlined(&mut tables, program, &mut parts);
        assert_eq!(parts.there.opened.len(), opened);
    }
}

/// No more units are read once there is no time left, and those that are in memory have their lines.
#[test]
fn no_unit_is_read_when_it_is_late() {
    let dir = tempfile::tempdir().unwrap();
    let (path, program) = split_program(dir.path(), &[]);
    let mut tables = LineTables::open(&program, Limits::default()).unwrap().unwrap();
    let mut parts = Later { there: Beside::new(&path), refused: None, is_late: true };
    let found = tables.lines(&program, &mut parts, &addresses(&program.0, 500));
    let is_late = |error: &SymbolError| matches!(error, SymbolError::Read(error) if error.kind() == io::ErrorKind::TimedOut);
    let (late, known): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_err);
    assert!(late.len() > 50 && late.iter().all(|each| each.as_ref().is_err_and(is_late)));
    assert!(known.iter().all(|lines| lines.as_ref().unwrap().is_empty()) && parts.there.opened.is_empty());
    parts.is_late = false;
    let known = inlined(&mut tables, &program, &mut parts);
    parts.is_late = true;
    assert_eq!(inlined(&mut tables, &program, &mut parts), known);
}

/// A damaged package and one with compressed sections, which would be unpacked for each unit, do not hide the unit's
/// own file.
#[test]
fn a_package_that_cannot_be_used_hides_no_units() {
    let dir = tempfile::tempdir().unwrap();
    let (path, program) = split_program(dir.path(), &[]);
    let package = dir.path().join("split.dwp");
    run(Command::new("dwp").current_dir(dir.path()).args(["-e", "split.elf", "-o", "split.dwp"]));
    let whole = fs::read(&package).unwrap();
    let mut tables = LineTables::open(&program, Limits::default()).unwrap().unwrap();
    let known = inlined(&mut tables, &program, &mut Beside::new(&path)).0;
    assert_ne!(known, Vec::<String>::new());

    let compress = |file: &Path| {
        run(Command::new("objcopy").arg("--compress-debug-sections=zlib").arg(file));
        let bytes = fs::read(file).unwrap();
        let object = object::File::parse(bytes.as_slice()).unwrap();
        let is_compressed = |section: object::Section<'_, '_>| {
            section.compressed_file_range().unwrap().format != object::CompressionFormat::None
        };
        assert!(object.sections().any(is_compressed));
    };
    let damage = |file: &Path| {
        let mut bytes = whole.clone();
        let object = object::File::parse(whole.as_slice()).unwrap();
        let (at, size) = object.section_by_name(".debug_abbrev.dwo").unwrap().file_range().unwrap();
        let range = usize::try_from(at).unwrap()..usize::try_from(at + size).unwrap();
        bytes[range].fill(0xff);
        fs::write(file, bytes).unwrap();
    };
    let spoilers: [&dyn Fn(&Path); 2] = [&compress, &damage];
    for spoil in spoilers {
        fs::write(&package, &whole).unwrap();
        spoil(&package);
        let mut tables = LineTables::open(&program, Limits::default()).unwrap().unwrap();
        let mut parts = Beside::new(&path);
        assert_eq!(inlined(&mut tables, &program, &mut parts).0, known);
        assert_eq!(parts.opened, [package.clone(), dir.path().join("split.dwo")]);
    }
}

/// Sections of another file that had to be unpacked take room for as long as they are in memory, and effort.
#[test]
fn unpacked_sections_of_a_part_take_room_and_effort() {
    let dir = tempfile::tempdir().unwrap();
    let (path, program) = split_program(dir.path(), &["-g3"]);
    let unit = dir.path().join("split.dwo");
    run(Command::new("objcopy").arg("--compress-debug-sections=zlib").arg(&unit));
    let unit = fs::read(unit).unwrap();
    let elf = Elf::read(&unit.as_slice()).unwrap();
    let find =
        |steps| Sections::find(&unit.as_slice(), &elf, FileKind::Split, (1 << 30, Some(&Effort::new(steps))));
    let unpacked = find(1 << 30).unwrap().unwrap().memory();
    assert!(unpacked > unit.len(), "{unpacked} of {}", unit.len());
    assert!(matches!(find(unpacked as u64 / 2), Err(SymbolError::TooLarge { .. })));

    let mut tables = LineTables::open(&program, Limits::default()).unwrap().unwrap();
    let least = tables.memory();
    let known = inlined(&mut tables, &program, &mut Beside::new(&path)).0;
    assert_ne!(known, Vec::<String>::new());
    let own = tables.memory() - least;
    for (room, expected) in [(unpacked + own * 7 / 8, Vec::new()), (unpacked + 4 * own, known)] {
        let mut tables = LineTables::open(&program, Limits { memory: least + room }).unwrap().unwrap();
        assert_eq!(inlined(&mut tables, &program, &mut Beside::new(&path)).0, expected, "{room}");
    }
}

/// A part whose bytes have been damaged.
struct Damaged(Vec<u8>);

impl DebugParts for Damaged {
    fn open(&mut self, part: DebugPart<'_>) -> io::Result<Option<Box<dyn ByteSource>>> {
        let is_wanted = !matches!(part, DebugPart::Package) || self.0.starts_with(b"\x7fELF");
        Ok(is_wanted.then(|| Box::new(Bytes(self.0.clone())) as Box<dyn ByteSource>))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is damaged in a part, reading it ends, and takes no more room than it may.
    #[test]
    fn damaged_parts_have_functions_or_none(
        which in 0..4_usize, damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
    ) {
        static FILES: LazyLock<[(Vec<u8>, Vec<u8>); 4]> = LazyLock::new(|| {
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
                (of(shared_by_standard()), of(shared().with_file_name("shared5.debug"))),
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
