//! Compares names with those that `nm -n` implies, for every ELF file below some directories.
//!
//! `cargo run --release -p symbolize --example nm [DIRECTORY ...]`; without directories, the whole machine. Of each
//! file 1,000 addresses of its code are looked up, the same in each run. Exits with 1 if a name differs. The comparison
//! is no test, since it depends on the files that are installed and takes minutes.
//!
//! To `nm`, an address is in the last symbol at or before it. We differ on purpose where an address is
//!
//! - behind the end of a symbol that has a size: we name nothing (`gap`);
//! - behind a label without size, within a symbol that has one: we name that (`inner`);
//! - in the rest of a symbol that holds another, smaller one: we name the outer one (`outer`);
//! - behind the end of a function that also has a label without size: we name nothing (`gap`);
//! - behind the end of the section that its symbol is in, or at a symbol whose section is elsewhere: we name nothing
//!   (`section`);
//! - in a function of tables that `nm` does not read, `.gnu_debugdata` and Go's, of a file without a symbol table: we
//!   name that (`other table`);
//! - in data among the code: we name nothing (`data`);
//! - in a stub of the linkage table: we name the function that it calls (`stub`).

#![allow(clippy::print_stdout, reason = "a report")]
#![allow(clippy::indexing_slicing, reason = "indices below the length")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolKind};
use symbolize::{Limits, SymbolFile};

const MACHINE: [&str; 5] = ["/usr", "/lib", "/opt", "/root", "/home"];
const ADDRESSES: usize = 1000;

/// A symbol as `nm` prints it.
struct Symbol {
    size: u64,
    name: String,
}

#[derive(Default)]
struct Sums {
    files: u64,
    counts: BTreeMap<&'static str, u64>,
    differing: u64,
}

fn main() -> ExitCode {
    let mut directories: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if directories.is_empty() {
        directories.extend(MACHINE.map(PathBuf::from));
    }
    let mut sums = Sums::default();
    while let Some(directory) = directories.pop() {
        if directory.is_file() {
            compare(&directory, &mut sums);
            continue;
        }
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() => compare(&entry.path(), &mut sums),
                _ => {}
            }
        }
    }
    println!("{} files, addresses: {:?}, {} files differ", sums.files, sums.counts, sums.differing);
    ExitCode::from(u8::from(sums.differing > 0))
}

fn compare(path: &Path, sums: &mut Sums) {
    let Ok(bytes) = fs::read(path) else { return };
    let Ok(file) = SymbolFile::open(bytes.as_slice(), Limits { memory: 256 << 20 }) else { return };
    let Ok(object) = object::File::parse(bytes.as_slice()) else { return };
    let code = code(&object);
    let length: u64 = code.iter().map(|(_, size)| size).sum();
    if length == 0 {
        return;
    }
    let symbols = nm(path);
    if symbols.is_empty() {
        return;
    }
    sums.files += 1;
    let mut random = fastrand::Rng::with_seed(1);
    let mut differences = Vec::new();
    for _ in 0..ADDRESSES {
        let mut at = random.u64(0..length);
        let Some(address) = code.iter().find_map(|(start, size)| {
            if at < *size {
                return Some(start + at);
            }
            at -= size;
            None
        }) else {
            continue;
        };
        let ours = file.resolve(bytes.as_slice(), address).ok().flatten();
        let kind = match kind(&symbols, address, ours.as_ref()) {
            "different" if ours.is_none() => unnamed(&object, &symbols, address),
            "different" if is_of_other_table(&object, &symbols, ours.as_ref()) => "other table",
            kind => kind,
        };
        *sums.counts.entry(kind).or_default() += 1;
        if kind == "different" {
            let theirs = symbols.range(..=address).next_back();
            let theirs = theirs.map(|(start, all)| (format!("{start:#x}"), &all[0].name, all[0].size));
            differences.push(format!("{address:#x}: {ours:x?}, nm {theirs:x?}"));
        }
    }
    if !differences.is_empty() {
        sums.differing += 1;
        differences.truncate(3);
        println!("{}: {}", path.display(), differences.join("\n  "));
    }
}

/// True if a function is in a table that `nm` does not read, of a file whose symbol table was stripped.
fn is_of_other_table(
    object: &object::File<'_>,
    symbols: &BTreeMap<u64, Vec<Symbol>>,
    ours: Option<&symbolize::Resolved>,
) -> bool {
    let has_other =
        [".gnu_debugdata", ".gopclntab"].iter().any(|name| object.section_by_name(name).is_some());
    let is_unknown = ours.is_some_and(|ours| !symbols.contains_key(&ours.start));
    has_other && is_unknown && object.symbols().next().is_none()
}

/// The kind of difference between our name and that of `nm`.
fn kind(symbols: &BTreeMap<u64, Vec<Symbol>>, at: u64, ours: Option<&symbolize::Resolved>) -> &'static str {
    let last = symbols.range(..=at).next_back();
    let Some(ours) = ours else {
        return match last {
            Some((start, all)) if covers(*start, all, at) => "different",
            _ => "gap",
        };
    };
    if ours.name.ends_with("@plt") {
        return "stub";
    }
    if let Some((start, all)) = last
        && all.iter().any(|symbol| symbol.name == ours.name)
        && ours.start >= *start
    {
        return "same";
    }
    // A symbol before the last one that has a size which reaches so far.
    let outer = symbols.range(..=at).rev().find(|(start, all)| {
        all.iter().any(|symbol| symbol.name == ours.name && symbol.size > 0 && at - **start < symbol.size)
    });
    match (outer, last) {
        (Some(_), Some((_, all))) if all.iter().all(|symbol| symbol.size == 0) => "inner",
        (Some(_), Some((start, all))) if all.iter().all(|symbol| at - start >= symbol.size) => "outer",
        _ => "different",
    }
}

/// True if a symbol that begins at `start` reaches to an address: that with a size, and for want of one a label.
fn covers(start: u64, all: &[Symbol], at: u64) -> bool {
    let largest = all.iter().map(|symbol| symbol.size).max().unwrap_or_default();
    largest == 0 || at - start < largest
}

/// The reason why we have no name for an address that is in a symbol to `nm`.
fn unnamed(object: &object::File<'_>, symbols: &BTreeMap<u64, Vec<Symbol>>, at: u64) -> &'static str {
    let Some((start, _)) = symbols.range(..=at).next_back() else { return "gap" };
    let section = |at| code(object).into_iter().position(|(start, size)| start <= at && at - start < size);
    if section(*start) != section(at) {
        return "section";
    }
    let mut all = object.symbols().chain(object.dynamic_symbols());
    let is_elsewhere = |symbol: object::Symbol<'_, '_>| {
        let section = symbol.section_index().and_then(|index| object.section_by_index(index).ok());
        let holds = |section: object::Section<'_, '_>| {
            (section.address()..section.address() + section.size()).contains(start)
        };
        symbol.address() == *start && !section.is_some_and(holds)
    };
    if object.symbols().chain(object.dynamic_symbols()).any(is_elsewhere) {
        return "section";
    }
    let is_data = all.any(|symbol| symbol.address() == *start && symbol.kind() == SymbolKind::Data);
    if is_data { "data" } else { "different" }
}

/// Sections with code.
fn code(object: &object::File<'_>) -> Vec<(u64, u64)> {
    let is_code = |section: &object::Section<'_, '_>| match section.flags() {
        SectionFlags::Elf { sh_flags } => sh_flags & 6 == 6,
        _ => false,
    };
    object.sections().filter(is_code).map(|section| (section.address(), section.size())).collect()
}

/// Symbols of code by address, of the symbol table or else of the dynamic linker's.
fn nm(path: &Path) -> BTreeMap<u64, Vec<Symbol>> {
    let all = run(&["-n", "-S", "--defined-only"], path);
    if all.is_empty() { run(&["-D", "-n", "-S", "--defined-only"], path) } else { all }
}

fn run(options: &[&str], path: &Path) -> BTreeMap<u64, Vec<Symbol>> {
    let mut symbols = BTreeMap::<_, Vec<_>>::new();
    let Ok(output) = Command::new("nm").args(options).arg(path).output() else { return symbols };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let fields: Vec<_> = line.splitn(4, ' ').collect();
        let (address, size, kind, name) = match fields[..] {
            [address, size, kind, name] if kind.len() == 1 => (address, size, kind, name),
            [address, kind, name] if kind.len() == 1 => (address, "0", kind, name),
            _ => continue,
        };
        let (Ok(address), Ok(size)) = (u64::from_str_radix(address, 16), u64::from_str_radix(size, 16))
        else {
            continue;
        };
        if !"tTwWi".contains(kind) {
            continue;
        }
        let name = if options.contains(&"-D") { name.split('@').next().unwrap_or(name) } else { name };
        symbols.entry(address).or_default().push(Symbol { size, name: name.to_owned() });
    }
    symbols
}
