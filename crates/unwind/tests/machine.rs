//! Rows equal gimli's, page by page, for the files of a machine.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a report")]

mod oracle;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use unwind::RuleTable;

/// Compares one file; the differences in words.
fn check(path: &Path, rules: &mut RuleTable) -> Option<oracle::Compared> {
    let bytes = fs::read(path).ok()?;
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    oracle::compare(&bytes, rules)
}

#[test]
fn rows_of_common_files_equal_gimlis() {
    let mut files: Vec<PathBuf> = vec![std::env::current_exe().unwrap()];
    for name in ["libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libm.so.6", "libcrypto.so.3"]
    {
        files.extend(["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"].map(|it| Path::new(it).join(name)));
    }
    let mut rules = RuleTable::new();
    let mut rows = 0;
    for file in files {
        if let Some(compared) = check(&file, &mut rules) {
            assert_eq!(compared.different, 0, "{}: {:#?}", file.display(), compared.differences);
            rows += compared.rows;
        }
    }
    assert!(rows > 1000, "{rows}");
    assert_eq!(rules.overflows(), 0);
}

/// Walks the directories in `UNWIND_DIRECTORIES` (separated by colons; the whole machine if unset) and prints what
/// differs. Fails on a difference in a file that is not in `UNWIND_EXCEPT`.
#[test]
#[ignore = "reads every ELF file of the machine; run it with --release"]
fn rows_of_all_files_equal_gimlis() {
    let roots =
        std::env::var("UNWIND_DIRECTORIES").unwrap_or_else(|_| "/usr:/lib:/opt:/root:/home".to_owned());
    let mut stack: Vec<PathBuf> = roots.split(':').map(PathBuf::from).collect();
    let mut rules = RuleTable::new();
    let (mut files, mut pages, mut rows, mut synthetic) = (0, 0, 0, 0);
    let mut wrong = Vec::new();
    while let Some(directory) = stack.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let (Ok(kind), path) = (entry.file_type(), entry.path()) else { continue };
            if kind.is_dir() {
                stack.push(path);
            } else if kind.is_file() && !kind.is_fifo() {
                let Some(compared) = check(&path, &mut rules) else { continue };
                files += 1;
                pages += compared.pages;
                rows += compared.rows;
                synthetic += compared.synthetic;
                if compared.different > 0 {
                    println!(
                        "{}: {} different\n  {}",
                        path.display(),
                        compared.different,
                        compared.differences.join("\n  ")
                    );
                    wrong.push(path);
                }
            }
        }
    }
    println!(
        "{files} files, {pages} pages, {rows} rows, {} rules, {} overflows, {synthetic} synthetic ranges, {} files differ",
        rules.rules().len(),
        rules.overflows(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}
