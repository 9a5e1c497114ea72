//! Rows equal gimli's, page by page, for files that every machine has; `examples/machine.rs` compares all of a
//! machine's.

mod oracle;

use std::fs;
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
