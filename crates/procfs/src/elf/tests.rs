//! Facts of small files made here, of our own executable, and of any bytes.

use std::fs::File;
use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A 64-bit little-endian ELF file: one `PT_NOTE` with the notes, one `PT_LOAD`.
fn elf64(notes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let put = |file: &mut Vec<u8>, fields: &[(u64, usize)]| {
        fields.iter().for_each(|&(value, size)| file.extend_from_slice(&value.to_le_bytes()[..size]));
    };
    // e_type .. e_flags, then e_ehsize, e_phentsize, e_phnum and no sections.
    put(&mut file, &[(3, 2), (62, 2), (1, 4), (0, 8), (64, 8), (0, 8), (0, 4)]);
    put(&mut file, &[(64, 2), (56, 2), (2, 2), (64, 2), (0, 2), (0, 2)]);
    let notes_at = 64 + 2 * 56;
    // p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
    let size = notes.len() as u64;
    put(&mut file, &[(4, 4), (4, 4), (notes_at, 8), (0, 8), (0, 8), (size, 8), (size, 8), (4, 8)]);
    put(&mut file, &[(1, 4), (5, 4), (0x1000, 8), (0x40_1000, 8), (0, 8), (0x234, 8), (0x300, 8), (4096, 8)]);
    file.extend_from_slice(notes);
    file
}

fn note(name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [name.len().try_into().unwrap(), desc.len().try_into().unwrap(), kind] {
        note.extend_from_slice(&word.to_le_bytes());
    }
    for part in [name, desc] {
        note.extend_from_slice(part);
        note.resize(note.len().next_multiple_of(4), 0);
    }
    note
}

fn fixture() -> Vec<u8> {
    elf64(&[note(b"GNU\0", 3, &[0xab; 20]), note(b"Go\0\0", 4, b"go/build/id")].concat())
}

#[test]
fn segments_and_both_build_ids_are_read() {
    let facts = read_facts(&mut Cursor::new(fixture())).unwrap();
    assert_eq!(facts.build_id, BuildId::new(&[0xab; 20]));
    assert_eq!(facts.go_build_id.as_deref(), Some("go/build/id"));
    let segment = Segment { file_offset: FileOffset(0x1000), size: 0x234, address: ElfAddress(0x40_1000) };
    assert_eq!(*facts.segments, [segment]);
}

#[test]
fn of_several_build_ids_the_first_valid_one_counts() {
    let notes = [note(b"GNU\0", 3, &[1; 32]), note(b"GNU\0", 3, &[2; 20]), note(b"GNU\0", 3, &[3; 20])];
    let facts = read_facts(&mut Cursor::new(elf64(&notes.concat()))).unwrap();
    assert_eq!(facts.build_id, BuildId::new(&[2; 20]));
}

#[test]
fn a_file_that_is_no_elf_file_has_a_hash_alone() {
    let facts = read_facts(&mut Cursor::new(b"#!/bin/sh\n")).unwrap();
    assert_eq!(facts, FileFacts { htlhash: facts.htlhash, ..FileFacts::default() });
}

/// The expected values are those of Python's `hashlib.sha256(head + tail + len.to_bytes(8, "big"))`.
#[test]
fn the_hash_covers_head_tail_and_length() {
    let hash = |bytes: &[u8]| {
        let hash = read_facts(&mut Cursor::new(bytes)).unwrap().htlhash;
        hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let long: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(hash(b""), "af5570f5a1810b7af78caf4bc70a660f");
    assert_eq!(hash(b"abc"), "a7e79e8a85da69bad5c3fea209342ac9");
    assert_eq!(hash(&long[..5_000]), "8fcb735ccf036663f4dc178cf6653aac");
    assert_eq!(hash(&long), "29e3194e821b97b5565d43a5156ad97a");
    let mut middle = long.clone();
    middle[5_000] ^= 1;
    assert_eq!(hash(&middle), hash(&long), "the middle is not covered");
}

#[test]
fn our_own_executable_has_segments() {
    let facts = read_facts(&mut File::open(std::env::current_exe().unwrap()).unwrap()).unwrap();
    assert!(!facts.segments.is_empty());
    assert!(facts.segments.is_sorted_by_key(|segment| segment.file_offset));
}

#[test]
fn sizes_in_a_file_are_not_trusted_with_memory() {
    // The note segment claims to be as large as the file, which is a gigabyte of hole.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge");
    let mut bytes = fixture();
    bytes[64 + 32..64 + 40].copy_from_slice(&(1_u64 << 29).to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    let facts = read_facts(&mut &file).unwrap();
    assert_eq!((facts.build_id, facts.segments.len()), (None, 1));
}

proptest! {
    /// Any bytes have a hash, and are described or not.
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read_facts(&mut Cursor::new(bytes)).is_ok());
    }

    /// Any damaged ELF file has a hash, and is described or not.
    #[test]
    fn no_damage_panics(
        damage in proptest::collection::vec((0..fixture().len(), any::<u8>()), 1..8),
        cut in 0..=fixture().len(),
    ) {
        let mut bytes = fixture();
        damage.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        bytes.truncate(cut);
        prop_assert!(read_facts(&mut Cursor::new(bytes)).is_ok());
    }
}
