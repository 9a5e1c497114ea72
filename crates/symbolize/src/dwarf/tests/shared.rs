//! Debug information that several programs share in a file of its own.

use std::fs;
use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSection as _};

use super::parts::{Beside, Bytes, code, inlined};
use super::{addresses, compare_with};
use crate::{Limits, LineTables};

/// The program of this directory that shares debug information with another, which is not here, in a third file.
///
/// Made by `cc -gdwarf-5 -O2 -Wl,--build-id` (Debian's gcc 12.2) of `one.c`, and of a copy of it that says `two` for
/// `one`; then `dwz -m shared.debug one two` (dwz 0.15). The program is in `whole.elf` as it was before: binutils do
/// not find the names of inlined functions in the third file.
pub(super) fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dwarf/tests/dwz/one.elf")
}

/// The same program, whose third file is a supplementary one of DWARF 5, known by a checksum in `.debug_sup`: made of
/// `whole.elf` and the other program by `dwz -5 -m shared5.debug`.
pub(super) fn shared_by_standard() -> PathBuf {
    shared().with_file_name("one5.elf")
}

#[test]
fn what_programs_share_has_the_lines_and_functions_of_addr2line() {
    for (program, third) in [(shared(), "shared.debug"), (shared_by_standard(), "shared5.debug")] {
        let mut parts = Beside::new(&program);
        let whole = program.with_file_name("whole.elf");
        assert_eq!(code(&whole), code(&program));
        let counts = compare_with((&program, &whole), &mut parts, 1000);
        let count = |kind: &str| counts.get(kind).copied().unwrap_or(0);
        assert_eq!(count("different"), 0, "{third}: {counts:?}");
        assert!(count("same") >= 100 && count("deep") >= 50, "{third}: {counts:?}");
        assert_eq!(parts.opened, [program.with_file_name(third)]);
        // Without the other file, functions that were inlined are there without names.
        let bytes = Bytes(fs::read(&program).unwrap());
        let mut tables = LineTables::open(&bytes, Limits::default()).unwrap().unwrap();
        let lines = tables.lines(&bytes, &mut (), &addresses(&bytes.0, 1000));
        let lines: Vec<_> = lines.into_iter().map(Result::unwrap).filter(|lines| lines.len() > 1).collect();
        assert!(!lines.is_empty() && lines.iter().all(|lines| lines[0].function.is_empty()));
    }
}

/// A file in the place of the supplementary one has no functions of the program: its checksum is another, or it is a
/// file that refers to the supplementary one itself.
#[test]
fn a_supplementary_file_of_another_checksum_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (path, third) = (dir.path().join("one5.elf"), dir.path().join("shared5.debug"));
    fs::copy(shared_by_standard(), &path).unwrap();
    let program = Bytes(fs::read(&path).unwrap());
    let whole = fs::read(shared_by_standard().with_file_name("shared5.debug")).unwrap();
    let mut other = whole.clone();
    let object = object::File::parse(whole.as_slice()).unwrap();
    let (at, size) = object.section_by_name(".debug_sup").unwrap().file_range().unwrap();
    other[usize::try_from(at + size - 1).unwrap()] ^= 1;
    for (bytes, is_it) in [(&whole, true), (&other, false), (&program.0, false)] {
        fs::write(&third, bytes).unwrap();
        let (mut tables, mut parts) =
            (LineTables::open(&program, Limits::default()).unwrap().unwrap(), Beside::new(&path));
        let (names, lines) = inlined(&mut tables, &program, &mut parts);
        assert!(lines > 50 && parts.opened.contains(&third));
        assert_eq!(!names.is_empty(), is_it);
    }
}

/// A shared file that is of no use is opened once, not for each unit.
#[test]
fn a_damaged_shared_file_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one.elf");
    fs::copy(shared(), &path).unwrap();
    let mut bytes = fs::read(shared().with_file_name("shared.debug")).unwrap();
    let object = object::File::parse(bytes.as_slice()).unwrap();
    let (at, size) = object.section_by_name(".debug_info").unwrap().file_range().unwrap();
    let range = usize::try_from(at).unwrap()..usize::try_from(at + size).unwrap();
    bytes[range].fill(0xff);
    fs::write(dir.path().join("shared.debug"), bytes).unwrap();
    let program = Bytes(fs::read(&path).unwrap());
    let mut tables = LineTables::open(&program, Limits::default()).unwrap().unwrap();
    let mut parts = Beside::new(&path);
    for _ in 0..3 {
        inlined(&mut tables, &program, &mut parts);
        tables.units.read.clear();
        tables.units.bytes = 0;
    }
    assert_eq!(parts.opened.len(), 1);
}
