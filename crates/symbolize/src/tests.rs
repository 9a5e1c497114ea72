//! Tests of whole files.

mod dynamic;
mod go;
mod make;

use proptest::prelude::*;

use self::make::{
    File, GLOBAL_FUNCTION, LOCAL_FUNCTION, LOCAL_LABEL, PLT, Symbol, TEXT, WEAK_FUNCTION, symbol,
};
use crate::{Limits, SymbolFile};

fn own() -> Vec<u8> {
    std::fs::read("/proc/self/exe").unwrap()
}

#[inline(never)]
extern "C" fn a_function_to_find() -> u64 {
    std::hint::black_box(1)
}

/// The address in this file of the code at an address of this process.
fn own_address(pc: u64) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let exe = std::fs::read_link("/proc/self/exe").unwrap();
    let base = maps.lines().find(|line| line.ends_with(exe.to_str().unwrap())).unwrap();
    pc - u64::from_str_radix(base.split('-').next().unwrap(), 16).unwrap()
}

#[test]
fn a_function_of_this_program_is_found_from_its_first_byte_on() {
    let bytes = own();
    let file = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
    let address = own_address(a_function_to_find as *const () as u64);
    let found = file.resolve(bytes.as_slice(), address).unwrap().unwrap();
    assert!(found.name.contains("a_function_to_find"), "{found:?}");
    assert_eq!(found.start, address);
    assert!(file.outline().build_id().is_some_and(|id| id.len() == 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes of a file are changed or missing, it is read or refused, and so is each of its names.
    #[test]
    fn no_damage_panics(
        damage in prop::collection::vec((0usize..4096, any::<u8>()), 0..40),
        sections in prop::collection::vec((0usize..4096, any::<u8>()), 0..40),
        cut in prop::option::of(0usize..200_000),
    ) {
        // Of the whole program there is too much: its symbols fill a file of their own.
        let mut bytes = small();
        let length = bytes.len();
        for (at, byte) in damage {
            bytes[at % length] = byte;
        }
        for (at, byte) in sections {
            bytes[length - 1 - at % length] = byte;
        }
        bytes.truncate(cut.unwrap_or(length));
        if let Ok(file) = SymbolFile::open(bytes.as_slice(), Limits::default()) {
            for address in (0..0x3000).step_by(16) {
                let _name = file.resolve(bytes.as_slice(), address);
                let _address = file.address_of(address);
            }
            prop_assert!(file.memory() < 1 << 20);
        }
    }
}

/// A file with code, both symbol tables and stubs.
fn small() -> Vec<u8> {
    File::default().build()
}

fn name_in(file: &File, address: u64) -> Option<String> {
    let bytes = file.build();
    let file = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
    Some(file.resolve(bytes.as_slice(), address).unwrap()?.name)
}

#[track_caller]
fn check(symtab: Vec<Symbol>, expected: &[(u64, Option<&str>)]) {
    let file = File { symtab, ..File::default() };
    for &(address, name) in expected {
        assert_eq!(name_in(&file, address).as_deref(), name, "{address:#x}");
    }
}

#[test]
fn a_sized_symbol_names_its_range_and_no_byte_more() {
    check(
        vec![symbol("f", TEXT + 0x10, 0x20, LOCAL_FUNCTION)],
        &[(TEXT + 0xf, None), (TEXT + 0x10, Some("f")), (TEXT + 0x2f, Some("f")), (TEXT + 0x30, None)],
    );
}

#[test]
fn of_aliases_global_goes_before_weak_before_local_and_then_the_shortest_demangled() {
    let at = TEXT + 0x40;
    let all = [
        symbol("a", at, 8, LOCAL_FUNCTION),
        symbol("b", at, 8, WEAK_FUNCTION),
        symbol("_Z3cccv", at, 8, GLOBAL_FUNCTION),
        symbol("longer_than_it", at, 8, GLOBAL_FUNCTION),
    ];
    check(all.to_vec(), &[(at, Some("_Z3cccv"))]);
    check(all[..2].to_vec(), &[(at + 7, Some("b"))]);
    check(all[..1].to_vec(), &[(at + 7, Some("a"))]);
}

#[test]
fn a_label_of_assembly_reaches_to_the_next_symbol_or_the_end_of_its_section() {
    check(
        vec![symbol("l", TEXT + 0xf00, 0, LOCAL_LABEL), symbol("f", TEXT, 0x80, GLOBAL_FUNCTION)],
        &[(TEXT + 0x80, None), (TEXT + 0xf00, Some("l")), (TEXT + 0xfff, Some("l"))],
    );
}

#[test]
fn symbols_of_data_of_other_files_and_outside_their_section_name_nothing() {
    let object = 0x11;
    check(
        vec![
            symbol("object", TEXT, 0x80, object),
            Symbol { section: 0, ..symbol("elsewhere", TEXT, 0x80, GLOBAL_FUNCTION) },
            Symbol { section: 0xfff1, ..symbol("absolute", TEXT, 0x80, GLOBAL_FUNCTION) },
            Symbol { section: 77, ..symbol("nowhere", TEXT, 0x80, GLOBAL_FUNCTION) },
            symbol("beyond", TEXT + 0x2000, 0x80, GLOBAL_FUNCTION),
            symbol("huge", TEXT + 0xfff, u64::MAX, GLOBAL_FUNCTION),
        ],
        &[
            (TEXT, None),
            (TEXT + 0x2000, None),
            (TEXT + 0xfff, Some("huge")),
            (TEXT + 0x1000, Some("malloc@plt")),
        ],
    );
}

#[test]
fn a_function_that_chooses_one_at_start_is_named_like_any_other() {
    let chooser = 0x1a;
    check(vec![symbol("memcpy", TEXT, 0x80, chooser)], &[(TEXT + 1, Some("memcpy"))]);
}

#[test]
fn on_arm_marks_of_code_and_data_are_no_functions_and_the_bit_of_thumb_code_no_address() {
    let symtab = vec![
        symbol("thumb", TEXT + 1, 0x10, GLOBAL_FUNCTION),
        symbol("$t", TEXT + 4, 0, LOCAL_LABEL),
        symbol("$d.12", TEXT + 0x40, 0, LOCAL_LABEL),
        symbol(".L0", TEXT + 0x50, 0, LOCAL_LABEL),
    ];
    let arm = File { machine: 40, symtab: symtab.clone(), ..File::default() };
    let aarch64 = File { machine: 183, symtab, ..File::default() };
    assert_eq!(name_in(&arm, TEXT).as_deref(), Some("thumb"));
    assert_eq!(name_in(&arm, TEXT + 4).as_deref(), Some("thumb"));
    assert_eq!(name_in(&arm, TEXT + 0x10), None);
    for file in [arm, aarch64] {
        assert_eq!(name_in(&file, TEXT + 0x44), None);
        assert_eq!(name_in(&file, TEXT + 0x54), None);
    }
}

#[test]
fn a_stub_is_named_for_the_function_that_its_slot_is_relocated_to() {
    let file = File::default();
    assert_eq!(name_in(&file, PLT).as_deref(), Some("malloc@plt"));
    assert_eq!(name_in(&file, PLT + 15).as_deref(), Some("malloc@plt"));
}

#[test]
fn the_address_of_a_byte_follows_the_segment_that_holds_it() {
    let bytes = File::default().build();
    let file = SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap();
    assert_eq!(file.address_of(0x200), Some(TEXT));
    assert_eq!(file.address_of(0x1fff), None);
}

#[test]
fn a_file_with_more_symbols_than_there_is_room_for_is_refused() {
    let bytes = File::default().build();
    assert!(SymbolFile::open(bytes.as_slice(), Limits { memory: 16 }).is_err());
    assert!(SymbolFile::open(b"#!/bin/sh".as_slice(), Limits::default()).is_err());
}

/// A file without a symbol table but with another file's, packed.
fn with_debug_data(inner: &[u8], cut: usize) -> File {
    use std::io::Write as _;
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
    writer.write_all(inner).unwrap();
    let mut packed = writer.finish().unwrap();
    packed.truncate(packed.len() - cut);
    File { symtab: Vec::new(), more: vec![(".gnu_debugdata", packed)], ..File::default() }
}

#[test]
fn symbols_that_are_packed_into_a_stripped_file_name_what_its_own_do_not() {
    let inner =
        File { symtab: vec![symbol("packed", TEXT, 0x80, LOCAL_FUNCTION)], ..File::default() }.build();
    let file = with_debug_data(&inner, 0);
    assert_eq!(name_in(&file, TEXT + 1).as_deref(), Some("packed"));
    assert_eq!(name_in(&file, PLT).as_deref(), Some("malloc@plt"), "its own");
    assert_eq!(name_in(&with_debug_data(&inner, 20), TEXT + 1), None, "cut short");
    let bytes = file.build();
    let tight = SymbolFile::open(bytes.as_slice(), Limits { memory: 4000 }).unwrap();
    assert_eq!(tight.resolve(bytes.as_slice(), TEXT + 1).unwrap(), None, "no room");
    // Neither is a file within the file within the file opened, nor does a bomb burst.
    let nested = with_debug_data(&with_debug_data(&inner, 0).build(), 0);
    assert_eq!(name_in(&nested, TEXT + 1), None);
    let bomb = with_debug_data(&vec![0; 2 << 20], 0).build();
    let file = SymbolFile::open(bomb.as_slice(), Limits { memory: 1 << 20 }).unwrap();
    assert!(file.memory() < 1 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Packed symbols that are damaged anywhere are left out or read, in bounded room.
    #[test]
    fn no_damage_of_packed_symbols_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        static WHOLE: std::sync::LazyLock<File> = std::sync::LazyLock::new(|| with_debug_data(&small(), 0));
        let mut file = WHOLE.clone();
        let packed = &mut file.more[0].1;
        for (at, byte) in damage {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        let bytes = file.build();
        if let Ok(file) = SymbolFile::open(bytes.as_slice(), Limits { memory: 1 << 20 }) {
            prop_assert!(file.memory() < 2 << 20);
            let _name = file.resolve(bytes.as_slice(), TEXT);
        }
    }
}

#[test]
fn a_label_without_size_hides_no_function_of_the_packed_symbols() {
    let inner =
        File { symtab: vec![symbol("packed", TEXT + 0x100, 0x80, LOCAL_FUNCTION)], ..File::default() }
            .build();
    let mut file = with_debug_data(&inner, 0);
    file.dynsym.push(symbol("label", TEXT, 0, LOCAL_LABEL));
    assert_eq!(name_in(&file, TEXT + 0xff).as_deref(), Some("label"));
    assert_eq!(name_in(&file, TEXT + 0x100).as_deref(), Some("packed"));
}

#[test]
fn the_file_that_has_the_symbols_is_known_by_its_name_and_its_sum_and_is_in_no_other_directory() {
    let link = |name: &[u8]| {
        let mut bytes = name.to_vec();
        bytes.resize((name.len() + 1).next_multiple_of(4), 0);
        bytes.extend(crc32fast::hash(b"debug").to_le_bytes());
        let bytes = File { more: vec![(".gnu_debuglink", bytes)], ..File::default() }.build();
        SymbolFile::open(bytes.as_slice(), Limits::default()).unwrap().outline().debug_link().cloned()
    };
    let found = link(b"program.debug").unwrap();
    assert_eq!(found.name(), "program.debug");
    assert!(found.is_of(b"debug".as_slice()).unwrap() && !found.is_of(b"other".as_slice()).unwrap());
    for name in [b"../secret".as_slice(), b"", b"..", b"a/b"] {
        assert_eq!(link(name), None, "{name:?}");
    }
}
