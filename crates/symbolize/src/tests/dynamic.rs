//! Files without section headers.

use proptest::prelude::*;

use super::make::{File, GLOBAL_FUNCTION, Symbol, TEXT, symbol};
use crate::{Limits, SymbolFile};

/// Places in the code, which hold the dynamic linker's tables.
const SYMBOLS: u64 = TEXT + 0x400;
const STRINGS: u64 = TEXT + 0x600;
const HASH: u64 = TEXT + 0x700;
const DYNAMIC: u64 = TEXT + 0x900;

/// A file without section headers, its symbols counted by one table of hashes or the other.
fn file(gnu: bool) -> Vec<u8> {
    let symbols: Vec<Symbol> = ["one", "two"]
        .iter()
        .zip(0..)
        .map(|(name, at)| symbol(name, TEXT + at * 0x20, 0x10, GLOBAL_FUNCTION))
        .collect();
    let (table, strings) = super::make::table(&symbols);
    let hash: Vec<u32> = if gnu {
        // The table has one bucket, symbols from the first on, a filter of eight bytes; the chain ends with an odd
        // hash.
        vec![1, 1, 1, 0, 0, 0, 1, 2, 3]
    } else {
        vec![1, 3]
    };
    let entries = [
        (5u64, STRINGS),
        (6, SYMBOLS),
        (10, strings.len() as u64),
        (if gnu { 0x6fff_fef5 } else { 4 }, HASH),
        (0, 0),
        // Behind the end.
        (6, 0),
    ];
    let patches = vec![
        (SYMBOLS, table),
        (STRINGS, strings),
        (HASH, hash.iter().flat_map(|word| word.to_le_bytes()).collect()),
        (
            DYNAMIC,
            entries
                .iter()
                .flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat())
                .collect(),
        ),
    ];
    let mut bytes = File { symtab: Vec::new(), dynsym: Vec::new(), patches, ..File::default() }.build();
    // A second program header, in the place of code that nothing needs; no section headers.
    bytes[56] = 2;
    let header = [2u64 | 4 << 32, 0x200 + DYNAMIC - TEXT, DYNAMIC, DYNAMIC, 96, 96, 8];
    let header: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes[64 + 56..64 + 112].copy_from_slice(&header);
    bytes[40..48].fill(0);
    bytes[60..64].fill(0);
    bytes
}

#[test]
fn a_file_without_section_headers_is_named_by_what_the_dynamic_linker_reads() {
    for gnu in [false, true] {
        let bytes = file(gnu);
        let file = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
        let name = |at| file.resolve(bytes.as_slice(), at).unwrap().map(|found| found.name);
        assert_eq!(name(TEXT + 0xf).as_deref(), Some("one"), "gnu {gnu}");
        assert_eq!(name(TEXT + 0x10), None);
        assert_eq!(name(TEXT + 0x20).as_deref(), Some("two"), "gnu {gnu}");
    }
}

proptest! {
    /// Whatever is damaged, there are symbols or none, in bounded time.
    #[test]
    fn no_damage_panics(
        gnu: bool,
        damage in prop::collection::vec((0x200usize + 0x400..0x200 + 0xa00, any::<u8>()), 0..8),
    ) {
        let mut bytes = file(gnu);
        damage.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        if let Ok(file) = SymbolFile::open(bytes.as_slice(), Limits { memory: 1 << 20 }) {
            let _name = file.resolve(bytes.as_slice(), TEXT);
        }
    }
}
