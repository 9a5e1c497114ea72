//! Headers of small files made here, of our own executable, and of any bytes.

use std::fs::File;

use bytesource::{ByteSource, OpenFile};
use object::Endianness;
use object::elf::{PT_LOAD, SHT_NOBITS, SHT_STRTAB};
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _};
use proptest::prelude::*;

use super::*;

const MOST: u64 = 1 << 20;

/// A file of two segments and three sections: none, code, and the names at the end.
fn file(is_64: bool, is_little: bool) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(is_64), 2 - u8::from(is_little), 1];
    file.resize(16, 0);
    let long = if is_64 { 8 } else { 4 };
    let mut put = |fields: &[(u64, usize)]| {
        for &(value, size) in fields {
            let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
            file.extend_from_slice(if is_little { &little[..size] } else { &big[8 - size..] });
        }
    };
    let (header, segment, section) = if is_64 { (64, 56, 64) } else { (52, 32, 40) };
    let sections_at = header + 2 * segment;
    let names_at = sections_at + 3 * section;
    put(&[(2, 2), (62, 2), (1, 4), (0x40_1010, long), (header, long), (sections_at, long), (0, 4)]);
    put(&[(header, 2), (segment, 2), (2, 2), (section, 2), (3, 2), (2, 2)]);
    for (kind, flags, offset, address, size) in [(1, 5, 0x1000, 0x40_1000, 0x234), (4, 4, 0x300, 0, 36)] {
        if is_64 {
            put(&[(kind, 4), (flags, 4), (offset, 8), (address, 8), (0, 8), (size, 8), (size, 8), (4, 8)]);
        } else {
            put(&[(kind, 4), (offset, 4), (address, 4), (0, 4), (size, 4), (size, 4), (flags, 4), (4, 4)]);
        }
    }
    for (name, kind, flags, address, offset, size) in
        [(0, 0, 0, 0, 0, 0), (1, 1, 6, 0x40_1000, 0x1000, 0x234), (7, 3, 0, 0, names_at, 17)]
    {
        put(&[(name, 4), (kind, 4), (flags, long), (address, long), (offset, long), (size, long)]);
        put(&[(2, 4), (0, 4), (16, long), (0, long)]);
    }
    file.extend_from_slice(b"\0.text\0.shstrtab\0");
    file
}

fn names(header: &Header, source: &[u8]) -> Vec<String> {
    let sections = header.sections(source, u32::MAX).unwrap();
    let names = sections.names(source, MOST).unwrap();
    sections.all.iter().map(|section| String::from_utf8_lossy(names.of(section)).into_owned()).collect()
}

#[test]
fn headers_of_either_size_and_byte_order_say_the_same() {
    for (is_64, is_little) in [(true, true), (true, false), (false, true), (false, false)] {
        let file = file(is_64, is_little);
        let header = Header::read(file.as_slice()).unwrap();
        let endian = if is_little { Endianness::Little } else { Endianness::Big };
        assert_eq!((header.is_64, header.endian, header.kind), (is_64, endian, 2));
        assert_eq!((header.machine, header.entry), (62, 0x40_1010));
        let segments = header.segments(file.as_slice(), 2).unwrap();
        let code = Segment { kind: 1, flags: 5, offset: 0x1000, address: 0x40_1000, size: 0x234, align: 4 };
        assert_eq!(segments[0], code);
        assert!(code.is_executable() && !segments[1].is_executable());
        assert_eq!(
            [0x40_0fff, 0x40_1000, 0x40_1233, 0x40_1234].map(|at| code.offset_of(at)),
            [None, Some(0x1000), Some(0x1233), None]
        );
        assert_eq!((segments[1].kind, segments[1].offset, segments[1].size), (4, 0x300, 36));
        assert_eq!(names(&header, &file), ["", ".text", ".shstrtab"]);
        let sections = header.sections(file.as_slice(), 3).unwrap().all;
        let text = sections[1];
        assert_eq!((text.address, text.offset, text.size), (0x40_1000, 0x1000, 0x234));
        assert_eq!((text.kind, text.link, text.align), (1, 2, 16));
        assert!(text.is_code() && text.has_bytes() && !sections[2].is_code());
        assert!(!Section { kind: SHT_NOBITS, ..text }.has_bytes());
        assert_eq!(sections[2].kind, SHT_STRTAB);
    }
}

#[test]
fn more_than_the_caller_reads_is_refused() {
    let file = file(true, true);
    let header = Header::read(file.as_slice()).unwrap();
    assert!(matches!(header.segments(file.as_slice(), 1), Err(ElfError::TooLarge { .. })));
    assert!(matches!(header.sections(file.as_slice(), 2), Err(ElfError::TooLarge { .. })));
    assert!(
        header
            .sections(file.as_slice(), 3)
            .unwrap()
            .names(file.as_slice(), 3)
            .unwrap()
            .of(&header.sections(file.as_slice(), 3).unwrap().all[2])
            .is_empty()
    );
    let short = &file[..64 + 56];
    assert!(matches!(header.segments(short, 2), Err(ElfError::Malformed { .. })));
    assert!(matches!(header.sections(short, 3), Err(ElfError::Malformed { .. })));
    for short in [&file[..0], &file[..63], b"#!/bin/sh\n"] {
        assert!(matches!(Header::read(short), Err(ElfError::OtherFormat)));
    }
}

#[test]
fn the_number_of_sections_may_be_in_the_first_of_them() {
    let mut file = file(true, true);
    // e_shnum and e_shstrndx, then sh_size and sh_link of the first section.
    file[60..64].copy_from_slice(&[0, 0, 0xff, 0xff]);
    let first = 64 + 2 * 56;
    file[first + 32..first + 40].copy_from_slice(&3_u64.to_le_bytes());
    file[first + 40..first + 44].copy_from_slice(&2_u32.to_le_bytes());
    let header = Header::read(file.as_slice()).unwrap();
    assert_eq!(names(&header, &file), ["", ".text", ".shstrtab"]);
}

#[test]
fn notes_are_read_up_to_the_first_that_is_cut_short() {
    let mut bytes = vec![4, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0];
    bytes.extend_from_slice(b"GNU\0");
    bytes.extend_from_slice(&[1, 2, 3, 4, 5, 0, 0, 0]);
    let first = bytes.clone();
    bytes.extend_from_slice(&[3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 0, 0]);
    bytes.extend_from_slice(b"Go\0\0");
    let expected = Note { name: b"GNU", kind: 3, bytes: &[1, 2, 3, 4, 5] };
    assert_eq!(Notes::new(&bytes, Endianness::Little, 4).collect::<Vec<_>>(), [expected]);
    let unpadded = &first[..21];
    assert_eq!(Notes::new(unpadded, Endianness::Little, 4).collect::<Vec<_>>(), [expected]);
    // The name ends at 16, a multiple of 8; the next note begins at 24 either way.
    let twice = [first.as_slice(), &first].concat();
    assert_eq!(Notes::new(&twice, Endianness::Little, 8).count(), 2);
    assert_eq!(Notes::new(&twice, Endianness::Big, 4).count(), 0);
}

/// Our own executable, as the `object` crate reads it.
#[test]
fn our_own_executable_is_as_others_read_it() {
    let path = std::env::current_exe().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let source = OpenFile::new(File::open(&path).unwrap()).unwrap();
    let header = Header::read(&source).unwrap();
    let theirs = object::elf::FileHeader64::<Endianness>::parse(&*bytes).unwrap();
    let endian = theirs.endian().unwrap();
    let loads = theirs.program_headers(endian, &*bytes).unwrap().iter();
    let loads = loads.filter(|segment| segment.p_type(endian) == PT_LOAD);
    let expected: Vec<_> =
        loads.map(|load| (load.p_offset(endian), load.p_vaddr(endian), load.p_filesz(endian))).collect();
    let segments = header.segments(&source, 64).unwrap();
    let loads = segments.iter().filter(|segment| segment.kind == PT_LOAD);
    assert_eq!(loads.map(|load| (load.offset, load.address, load.size)).collect::<Vec<_>>(), expected);
    let table = theirs.sections(endian, &*bytes).unwrap();
    let expected = table.iter().map(|section| {
        let name = table.section_name(endian, section).unwrap();
        (name.to_vec(), section.sh_offset(endian), section.sh_size(endian))
    });
    let sections = header.sections(&source, 1 << 16).unwrap();
    let names = sections.names(&source, MOST).unwrap();
    let ours = sections.all.iter().map(|section| (names.of(section).to_vec(), section.offset, section.size));
    assert_eq!(ours.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// A source that checks that no read is larger than is allowed, and none reaches beyond its end.
struct Checked<'a>(&'a [u8]);

impl ByteSource for Checked<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        assert!(offset + buffer.len() as u64 <= self.size(), "beyond the end");
        self.0.read_exact_at(offset, buffer)
    }
}

fn read_all(bytes: &[u8]) {
    let source = Checked(bytes);
    let Ok(header) = Header::read(&source) else { return };
    let segments = header.segments(&source, 64).unwrap_or_default();
    assert!(segments.len() <= 64);
    if let Ok(sections) = header.sections(&source, 64) {
        assert!(sections.all.len() <= 64);
        if let Ok(names) = sections.names(&source, 64) {
            sections.all.iter().for_each(|section| assert!(names.of(section).len() <= 64));
        }
    }
    for segment in segments {
        if let Ok(notes) = read::bytes(&source, segment.offset, segment.size, "notes") {
            assert!(Notes::new(&notes, header.endian, segment.align).count() <= notes.len() / 12);
        }
    }
}

proptest! {
    /// Any bytes are read or refused.
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        prop_assert!(Notes::new(&bytes, Endianness::Little, 4).count() <= bytes.len() / 12);
        prop_assert!(Notes::new(&bytes, Endianness::Big, 8).count() <= bytes.len() / 12);
    }

    /// Any damaged file, of either size and byte order, is read or refused too.
    #[test]
    fn no_damage_panics(
        (is_64, is_little) in any::<(bool, bool)>(),
        damage in proptest::collection::vec((0..400_usize, prop_oneof![Just(0), Just(0xff), any::<u8>()]), 1..8),
        cut in 0..=500_usize,
    ) {
        let mut bytes = file(is_64, is_little);
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        read_all(&bytes);
    }
}
