//! Go's tables, put together as each version of Go writes them.

use proptest::prelude::*;

use super::make::{File, MODULE, TEXT};
use crate::{Limits, Resolved, SymbolFile};

/// Address of the data that the tables refer to, and of the tree of inlined functions, which stands relative to it.
const DATA: u64 = TEXT + 0xa00;
const TREE: u64 = DATA + 0x10;
const NAMES: &[u8] = b"\0main.main\0main.work\0main.small\0";
const FILES: &[u8] = b"/src/main.go\0/src/small.go\0";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Go116,
    Go118,
    Go120,
}
use Version::{Go116, Go118, Go120};

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A list of values: the difference of each from the one before (the first: from -1), and the bytes of code that it
/// holds for.
fn list(changes: &[(i32, u8)]) -> Vec<u8> {
    let entry =
        |&(change, length): &(i32, u8)| [u8::try_from((change << 1) ^ (change >> 31)).unwrap(), length];
    changes.iter().flat_map(entry).chain([0]).collect()
}

/// The facts of a function at `entry` bytes into the code.
fn facts(version: Version, entry: u32, name: u32, lists: [u32; 4]) -> Vec<u8> {
    let [files, lines, inlined, tree] = lists;
    let mut out = match version {
        Go116 => (TEXT + u64::from(entry)).to_le_bytes().to_vec(),
        _ => words(&[entry]),
    };
    out.extend(words(&[name, 0, 0, 0, files, lines, 3, 0]));
    if version == Go120 {
        out.extend(words(&[7]));
    }
    out.extend([0, 0, 0, 4]);
    out.extend(words(&[0, 0, inlined]));
    if version == Go116 {
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend([0; 24]);
        out.extend(if tree == u32::MAX { 0 } else { DATA + u64::from(tree) }.to_le_bytes());
    } else {
        out.extend(words(&[u32::MAX, u32::MAX, u32::MAX, tree]));
    }
    out
}

/// Two functions: `main.main` of 0x40 bytes, and `main.work` of as many, into which `main.small` is inlined.
fn tables(version: Version, text: u64) -> Vec<u8> {
    let mut values = vec![0];
    let mut add = |changes: &[(i32, u8)]| {
        let at = u32::try_from(values.len()).unwrap();
        values.extend(list(changes));
        at
    };
    let file = add(&[(1, 0x40)]);
    let lines = add(&[(11, 0x20), (5, 0x20)]);
    let work_files = add(&[(1, 0x10), (1, 0x10), (-1, 0x20)]);
    let work_lines = add(&[(21, 0x10), (40, 0x10), (-38, 0x20)]);
    let inlined = add(&[(0, 0x10), (1, 0x10), (-1, 0x20)]);
    values.resize(values.len().next_multiple_of(8), 0);

    let (header, entry) = if version == Go116 { (64u64, 16u64) } else { (72, 8) };
    let mut functions = facts(version, 0, 1, [file, lines, 0, u32::MAX]);
    functions.resize(functions.len().next_multiple_of(8), 0);
    let second = u32::try_from(functions.len()).unwrap();
    functions.extend(facts(version, 0x40, 11, [work_files, work_lines, inlined, 0x10]));
    let behind = u32::try_from(3 * entry).unwrap();
    let mut table = Vec::new();
    for (start, at) in [(0u32, behind), (0x40, behind + second), (0x80, 0)] {
        match version {
            Go116 => {
                table.extend((TEXT + u64::from(start)).to_le_bytes());
                table.extend(u64::from(at).to_le_bytes());
            }
            _ => table.extend(words(&[start, at])),
        }
    }
    table.extend(functions);

    let magic: u32 = match version {
        Go116 => 0xffff_fffa,
        Go118 => 0xffff_fff0,
        Go120 => 0xffff_fff1,
    };
    let mut out = magic.to_le_bytes().to_vec();
    out.extend([0, 0, 1, 8]);
    let names = header;
    let units = names + NAMES.len().next_multiple_of(8) as u64;
    let files = units + 8;
    let values_at = files + FILES.len().next_multiple_of(8) as u64;
    let table_at = values_at + values.len() as u64;
    let mut fields = vec![2, 2];
    fields.extend((version != Go116).then_some(text));
    fields.extend([names, units, files, values_at, table_at]);
    fields.iter().for_each(|field: &u64| out.extend(field.to_le_bytes()));
    for (at, bytes) in
        [(names, NAMES), (units, &words(&[0, 13])), (files, FILES), (values_at, &values), (table_at, &table)]
    {
        out.resize(usize::try_from(at).unwrap(), 0);
        out.extend(bytes);
    }
    out
}

/// A stripped program with those tables, and the record that leads to the inlined functions.
fn program(version: Version, text_in_header: bool) -> File {
    let tables = tables(version, if text_in_header { TEXT } else { 0 });
    let names = if version == Go116 { 64 } else { 72 };
    let mut record = [0u64; 42];
    (record[1], record[20], record[22]) = (names, TEXT, TEXT);
    let data = if version == Go118 { 37 } else { 39 };
    (record[data], record[data + 1]) = (DATA - 8, DATA);
    let record = record.iter().flat_map(|word| word.to_le_bytes()).collect();
    // The tree of inlined functions: the caller is 0x18 bytes into the function.
    let tree = match version {
        Go120 => words(&[0, 21, 0x28, 3]),
        _ => words(&[0, 1, 33, 21, 0x28]),
    };
    File {
        symtab: Vec::new(),
        dynsym: Vec::new(),
        more: vec![(".gopclntab", tables), (".go.module", Vec::new())],
        patches: vec![(MODULE, record), (TREE, tree)],
        ..File::default()
    }
}

fn lines(file: &File, address: u64) -> Option<(String, Vec<String>)> {
    let bytes = file.build();
    let file = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
    let Resolved { name, lines, .. } = file.resolve(bytes.as_slice(), address).unwrap()?;
    let line = |line: &crate::SourceLine| {
        format!("{} {}:{}", line.function, line.file.as_deref().unwrap_or("?"), line.line)
    };
    Some((name, lines.iter().map(line).collect()))
}

#[test]
fn functions_of_each_version_have_names_files_and_lines_and_what_is_inlined() {
    for version in [Go116, Go118, Go120] {
        let file = program(version, true);
        let check = |at, name: &str, expected: &[&str]| {
            let expected = expected.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(lines(&file, TEXT + at), Some((name.to_owned(), expected)), "{version:?} {at:#x}");
        };
        check(0x1f, "main.main", &["main.main /src/main.go:10"]);
        check(0x20, "main.main", &["main.main /src/main.go:15"]);
        check(0x4f, "main.work", &["main.work /src/main.go:20"]);
        let inlined = ["main.small /src/small.go:60", "main.work /src/main.go:22"];
        check(0x50, "main.work", &inlined);
        check(0x5f, "main.work", &inlined);
        check(0x60, "main.work", &["main.work /src/main.go:22"]);
        assert_eq!(lines(&file, TEXT + 0x80), None, "behind the last function");
    }
}

#[test]
fn where_the_code_starts_is_taken_from_the_record_if_the_tables_do_not_say_it_and_never_guessed() {
    let file = program(Go120, false);
    assert_eq!(lines(&file, TEXT + 0x4f).unwrap().0, "main.work");
    let lost = File { patches: Vec::new(), ..file.clone() };
    assert_eq!(lines(&lost, TEXT + 0x4f), None);
    let mut other = file;
    other.patches[0].1[22 * 8] ^= 0x40;
    assert_eq!(lines(&other, TEXT + 0x4f), None, "the record is not of these tables");
}

#[test]
fn without_the_record_functions_have_the_line_of_what_is_inlined_no_more() {
    // The line would be in another function's file.
    let file = File { patches: Vec::new(), ..program(Go120, true) };
    let (name, lines) = lines(&file, TEXT + 0x50).unwrap();
    assert_eq!((name.as_str(), lines.len()), ("main.work", 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Tables that are damaged anywhere yield names or none, in bounded time.
    #[test]
    fn no_damage_panics(
        version in prop::sample::select(vec![Go116, Go118, Go120]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        of_record in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = program(version, of_record.is_empty());
        let change = |bytes: &mut Vec<u8>, damage: &[(prop::sample::Index, u8)]| {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
        };
        change(&mut file.more[0].1, &damage);
        change(&mut file.patches[0].1, &of_record);
        change(&mut file.patches[1].1, &of_record);
        let cut = cut.index(file.more[0].1.len() * 4);
        file.more[0].1.truncate(cut);
        let bytes = file.build();
        if let Ok(file) = SymbolFile::open(bytes.as_slice(), Limits { memory: 1 << 20 }) {
            for address in (TEXT..TEXT + 0x100).step_by(7) {
                let _name = file.resolve(bytes.as_slice(), address);
            }
        }
    }
}
