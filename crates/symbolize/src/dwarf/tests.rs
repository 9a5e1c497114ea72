//! Lines and inlined functions against binutils' `addr2line`, and any bytes.

mod parts;
mod shared;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use object::{Object as _, ObjectSection as _};
use proptest::prelude::*;

use crate::{DebugParts, Limits, LineTables, SourceLine, SymbolError, SymbolFile};

/// A program of this directory, compiled by `compiler` with `options`.
fn compile(dir: &Path, compiler: &str, options: &[&str], source: &str) -> PathBuf {
    let path = dir.join(format!("{source}.out"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dwarf/tests").join(source);
    let status = Command::new(compiler).args(options).arg("-o").arg(&path).arg(source).status();
    assert!(status.unwrap().success(), "{compiler} {options:?}");
    path
}

/// A compiler of C++: that of the system, or the clang that the agent is built with.
fn cpp() -> &'static str {
    let compiles = |compiler: &&str| {
        let mut command = Command::new(compiler);
        command.args(["-x", "c++", "-fsyntax-only", "/dev/null"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    ["c++", "clang-19", "clang"].into_iter().find(compiles).unwrap()
}

/// Addresses of a program's code, in which others are as likely as any.
fn addresses(bytes: &[u8], count: usize) -> Vec<u64> {
    let object = object::File::parse(bytes).unwrap();
    let code = object.sections().find(|section| section.name() == Ok(".text")).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| code.address() + random.u64(..code.size())).take(count).collect()
}

/// Pairs of a function and a place that binutils have for addresses, the innermost first. Names are in the linker's
/// form: no two programs agree on how to demangle them.
fn addr2line(path: &Path, addresses: &[u64]) -> Vec<Vec<(String, String)>> {
    let mut child = Command::new("addr2line")
        .args(["-a", "-i", "-f", "-e"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text: String = addresses.iter().map(|address| format!("{address:#x}\n")).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let (mut all, text) = (Vec::new(), String::from_utf8_lossy(&output.stdout).into_owned());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            all.push(Vec::new());
            continue;
        }
        let place = lines.next().unwrap();
        // The number of the block within the line follows.
        let place = place.split(" (discriminator").next().unwrap();
        all.last_mut().unwrap().push((line.to_owned(), place.to_owned()));
    }
    assert_eq!(all.len(), addresses.len());
    all
}

/// The kind of difference between our lines of an address and those of binutils.
fn kind(symbol: Option<&str>, ours: &[SourceLine], theirs: &[(String, String)]) -> &'static str {
    if ours.is_empty() {
        // Binutils have the source file from the symbol table then. Names of symbols are compared with those of `nm`.
        let is_unknown = theirs.len() == 1 && theirs[0].1.ends_with(":?");
        return if is_unknown { "no debug information" } else { "different" };
    }
    let place = |line: &SourceLine| {
        let number = if line.line == 0 { "?".to_owned() } else { line.line.to_string() };
        format!("{}:{number}", line.file.as_deref().unwrap_or("??"))
    };
    if ours.len() != theirs.len() || ours.iter().zip(theirs).any(|(ours, (_, theirs))| place(ours) != *theirs)
    {
        return "different";
    }
    let mut kind = "same";
    for (index, (ours_at, (name, _))) in ours.iter().zip(theirs).enumerate() {
        let is_last = index + 1 == ours.len();
        match () {
            () if ours_at.function == *name => {}
            // The function itself has its symbol's name.
            () if is_last && symbol == Some(name) => {}
            () if is_last && ours_at.function.is_empty() && symbol.is_none() => kind = "gap",
            // Binutils name an inlined function that has no linker's name after the symbol it is in, once that has been
            // asked for.
            () if !is_last && symbol == Some(name) && !ours_at.function.starts_with('_') => {
                kind = "inlined without a linker's name";
            }
            () => return "different",
        }
    }
    kind
}

/// For 12,000 addresses of three programs, of as many compilers, the functions and lines are those of binutils.
#[test]
fn lines_and_inlined_functions_are_those_of_addr2line() {
    let dir = tempfile::tempdir().unwrap();
    for (compiler, options, source) in [
        ("cc", &["-g", "-O2"][..], "inlined.c"),
        (cpp(), &["-x", "c++", "-g", "-O2"], "inlined.cpp"),
        ("rustc", &["-g", "-O", "--edition=2021"], "inlined.rs"),
    ] {
        let path = compile(dir.path(), compiler, options, source);
        let counts = compare(&path, 4000);
        let count = |kind: &str| counts.get(kind).copied().unwrap_or(0);
        assert_eq!(count("different"), 0, "{source}: {counts:?}");
        assert!(count("same") >= 1500 && count("deep") >= 100, "{source}: {counts:?}");
    }
}

/// Lines are the same with compressed sections, older versions of the format, programs of 32 bits and sections for each
/// function.
#[test]
fn whatever_the_format_lines_are_those_of_addr2line() {
    let dir = tempfile::tempdir().unwrap();
    for options in [
        &["-g", "-O2", "-gz=zlib"][..],
        &["-gdwarf-4", "-O2", "-ffunction-sections", "-Wl,--gc-sections"],
        &["-gdwarf-3", "-O3", "-static"],
        &["-gdwarf-2", "-O1", "-no-pie"],
    ] {
        let counts = compare(&compile(dir.path(), "cc", options, "inlined.c"), 1000);
        assert!(!counts.contains_key("different") && counts.contains_key("same"), "{options:?}: {counts:?}");
    }
}

/// Number of a program's addresses by the kind of difference from binutils; `deep` are those in inlined functions.
fn compare(path: &Path, count: usize) -> BTreeMap<&'static str, usize> {
    compare_with((path, path), &mut (), count)
}

/// As [`compare`], with the lines that binutils have of another program with the same code.
fn compare_with(
    (path, other): (&Path, &Path),
    parts: &mut dyn DebugParts,
    count: usize,
) -> BTreeMap<&'static str, usize> {
    let bytes = std::fs::read(path).unwrap();
    let bytes = bytes.as_slice();
    let all = addresses(bytes, count);
    let symbols = SymbolFile::open(bytes, Limits::default()).unwrap();
    let mut tables = LineTables::open(&bytes, Limits::default()).unwrap().unwrap();
    let (lines, theirs) = (tables.lines(&bytes, parts, &all), addr2line(other, &all));
    let mut counts = BTreeMap::new();
    for ((address, ours), theirs) in all.iter().zip(lines).zip(&theirs) {
        let (ours, symbol) = (ours.unwrap(), symbols.resolve(bytes, *address).unwrap());
        let kind = kind(symbol.as_ref().map(|symbol| symbol.name.as_str()), &ours, theirs);
        if kind == "different" && counts.get(kind).is_none_or(|count| *count < 3) {
            println!("{address:#x} {symbol:?}\n  ours   {ours:?}\n  theirs {theirs:?}");
        }
        *counts.entry(kind).or_insert(0) += 1;
        *counts.entry("deep").or_insert(0) += usize::from(ours.len() > 1);
    }
    assert!(tables.memory() <= Limits::default().memory);
    counts
}

/// However little room there is, lines are right or missing, and no more is held.
#[test]
fn units_make_room_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = compile(dir.path(), "rustc", &["-g", "-O", "--edition=2021"], "inlined.rs");
    let bytes = std::fs::read(path).unwrap();
    let bytes = bytes.as_slice();
    let all = addresses(bytes, 500);
    let known = LineTables::open(&bytes, Limits::default()).unwrap().unwrap().lines(&bytes, &mut (), &all);
    let least = LineTables::open(&bytes, Limits::default()).unwrap().unwrap().memory();
    let mut missing = Vec::new();
    for room in [64 << 10, 512 << 10, 4 << 20] {
        let mut tables = LineTables::open(&bytes, Limits { memory: least + room }).unwrap().unwrap();
        let found = tables.lines(&bytes, &mut (), &all);
        // The last unit may be as large as all may.
        assert!(tables.memory() <= least + 2 * room, "{} of {least} + {room}", tables.memory());
        let known = known.iter().map(|lines| lines.as_ref().unwrap());
        let (mut right, mut absent) = (0, 0);
        for (known, found) in known.zip(found) {
            match found {
                Ok(found) if found == *known && !found.is_empty() => right += 1,
                Ok(found) => assert!(found.is_empty()),
                Err(error) => assert!(matches!(error, SymbolError::TooLarge { .. }), "{error}"),
            }
            absent += 1;
        }
        missing.push(absent - right);
    }
    assert!(missing.is_sorted_by(|left, right| left >= right) && missing[2] < missing[0], "{missing:?}");
    assert!(LineTables::open(&bytes, Limits { memory: 4096 }).is_err());
}

/// Offsets in a program of the bytes of its debug information.
fn debug_information(program: &[u8]) -> Vec<usize> {
    let object = object::File::parse(program).unwrap();
    let debug =
        object.sections().filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug")));
    let bytes = debug.filter_map(|section| section.file_range()).flat_map(|(at, size)| at..at + size);
    bytes.map(|at| usize::try_from(at).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes of a program are damaged, reading it ends, and takes no more room than it may.
    #[test]
    fn a_damaged_program_has_lines_or_none(damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        static PROGRAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::read(compile(dir.path(), "cc", &["-g", "-O2"], "inlined.c")).unwrap()
        });
        const MEMORY: usize = 1 << 20;
        let places = debug_information(&PROGRAM);
        let all = addresses(&PROGRAM, 50);
        let mut bytes = PROGRAM.clone();
        damages.iter().for_each(|(at, byte)| bytes[*at.get(&places)] = *byte);
        if let Ok(Some(mut tables)) = LineTables::open(&bytes.as_slice(), Limits { memory: MEMORY }) {
            let _lines = tables.lines(&bytes.as_slice(), &mut (), &all);
            prop_assert!(tables.memory() <= 2 * MEMORY);
        }
    }
}
