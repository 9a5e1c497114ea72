//! Compares the rows of every ELF file below some directories with gimli's, page by page, and prints the differences.
//!
//! `cargo run --release -p unwind --example machine [DIRECTORY ...]`; without directories, the whole machine. The
//! process exits with 1 if a file differs. It is not a test, since it depends on the installed files and takes minutes.

#![allow(clippy::print_stdout, reason = "a report")]

#[path = "../tests/oracle/mod.rs"]
mod oracle;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use unwind::RuleTable;

const MACHINE: [&str; 5] = ["/usr", "/lib", "/opt", "/root", "/home"];

/// The sums of a walk.
#[derive(Debug, Default)]
struct Sums {
    files: u64,
    pages: u64,
    rows: u64,
    synthetic: u64,
    differing: u64,
}

fn main() -> ExitCode {
    let mut directories: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if directories.is_empty() {
        directories.extend(MACHINE.map(PathBuf::from));
    }
    let (mut rules, mut sums) = (RuleTable::new(), Sums::default());
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() => compare(entry.path(), &mut rules, &mut sums),
                _ => {}
            }
        }
    }
    let Sums { files, pages, rows, synthetic, differing } = sums;
    println!(
        "{files} files, {pages} pages, {rows} rows, {} rules, {} overflows, {synthetic} synthetic ranges, {differing} files differ",
        rules.used(),
        rules.overflows(),
    );
    ExitCode::from(u8::from(differing > 0))
}

fn compare(path: PathBuf, rules: &mut RuleTable, sums: &mut Sums) {
    let Some(compared) = fs::read(&path).ok().and_then(|bytes| oracle::compare(&bytes, rules)) else {
        return;
    };
    sums.files += 1;
    sums.pages += compared.pages;
    sums.rows += compared.rows;
    sums.synthetic += compared.synthetic;
    if compared.different > 0 {
        sums.differing += 1;
        println!(
            "{}: {} different\n  {}",
            path.display(),
            compared.different,
            compared.differences.join("\n  ")
        );
    }
}
