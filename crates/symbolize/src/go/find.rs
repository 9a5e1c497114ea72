//! The search for Go's tables in a file.

use elffile::read;

use super::layout::{Header, PART};
use crate::ByteSource;
use crate::elf::{Elf, Section};

/// Names of sections that hold nothing else.
const OWN: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];
/// Names of sections into which a linker of C may have put the tables, of a program that has Go's record of it in this
/// section.
const SHARED: [&[u8]; 2] = [b".data.rel.ro", b".rodata"];
const OF_GO: &[u8] = b".go.buildinfo";
/// The most bytes of shared sections that are searched, and the number that is searched at once.
const MAX_SEARCHED: u64 = 256 << 20;
const PIECE: u64 = 64 << 10;

/// The head of a file's tables.
pub(super) fn header<S: ByteSource + ?Sized>(source: &S, elf: &Elf) -> Option<Header> {
    if !elf.is_64 || elf.endian != object::Endianness::Little {
        return None;
    }
    let section_of = |names: &[&[u8]]| {
        let mut sections = elf.sections.iter();
        let names = names.to_vec();
        sections.find(move |section| names.contains(&elf.name_of(section)) && section.has_bytes())
    };
    if let Some(section) = section_of(&OWN) {
        return Header::read(source, section.offset, section.size, section.address);
    }
    section_of(&[OF_GO])?;
    SHARED.iter().filter_map(|name| section_of(&[name])).find_map(|section| search(source, section))
}

/// The head of tables that begin somewhere in a section.
fn search<S: ByteSource + ?Sized>(source: &S, section: &Section) -> Option<Header> {
    // All begin with a magic number of which only the lowest byte changes, and two zeros.
    const SAME: &[u8] = b"\xff\xff\xff\0\0";
    let finder = memchr::memmem::Finder::new(SAME);
    let size = section.size.min(MAX_SEARCHED).min(source.size().saturating_sub(section.offset));
    let mut from = 0;
    while from < size {
        let length = (PIECE + SAME.len() as u64).min(size - from);
        let piece = read::bytes(source, section.offset + from, length, PART).ok()?;
        let heads = finder.find_iter(&piece).filter_map(|at| from.checked_add(at as u64)?.checked_sub(1));
        let aligned = heads.filter(|head| section.address.wrapping_add(*head) % 8 == 0);
        let found = aligned.filter_map(|head| {
            let address = section.address.wrapping_add(head);
            Header::read(source, section.offset + head, size - head, address)
        });
        if let Some(header) = found.into_iter().next() {
            return Some(header);
        }
        from += PIECE;
    }
    None
}
