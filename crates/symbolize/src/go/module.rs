//! The run time's record of a program, `moduledata`, which has the addresses of its parts.

use elffile::read;
use object::Endianness;
use object::elf::{
    EM_AARCH64, EM_X86_64, ET_DYN, R_AARCH64_RELATIVE, R_X86_64_RELATIVE, Rela64, SHF_ALLOC, SHF_EXECINSTR,
    SHF_WRITE, SHT_PROGBITS, SHT_RELA,
};

use super::layout::{Header, Layout, PART};
use crate::elf::{Elf, Section};
use crate::{ByteSource, SymbolError};

/// Name of the record's section, from Go 1.26 on.
const OWN: &[u8] = b".go.module";
/// Number of words of the record that are read.
const WORDS: usize = 42;
/// Indices of words: the first two point to the tables and to their names.
const LEAST_ADDRESS: usize = 20;
const TEXT: usize = 22;
/// Index of the address of the data that the tables refer to. Go 1.18 had it before two fields came in between.
const DATA: usize = 40;
const DATA_GO_118: usize = 38;
/// The most bytes that are searched for the record.
const MAX_SEARCHED: u64 = 256 << 20;

/// The addresses in the record that the tables need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Module {
    /// The address that functions are relative to.
    pub(super) text: u64,
    /// The address of the data that the tables refer to; `None` if it is not known.
    pub(super) data: Option<u64>,
}

type Words = [u64; WORDS];

impl Module {
    /// The record of the program with those tables; `None` if there is none that fits them, and they do not have the
    /// address of the code themselves.
    pub(super) fn find<S: ByteSource + ?Sized>(source: &S, elf: &Elf, header: &Header) -> Option<Self> {
        let words = place(source, elf, header).and_then(|address| words(source, elf, address));
        let fits = |words: &Words| {
            words[0] == header.address
                && header.first_function(source, words[TEXT]) == Some(words[LEAST_ADDRESS])
                && (header.text == 0 || header.text == words[TEXT])
        };
        if let Some(words) = words.filter(fits) {
            return Some(Self { text: words[TEXT], data: data(elf, header, &words) });
        }
        let says_itself = header.layout == Layout::Go116 || header.text != 0;
        says_itself.then_some(Self { text: header.text, data: None })
    }
}

/// The address of the data that the tables refer to.
fn data(elf: &Elf, header: &Header, words: &Words) -> Option<u64> {
    let is_mapped = |address: u64| elf.segments.iter().any(|segment| segment.offset_of(address).is_some());
    // Before it stands where data that is only read begins.
    let fits = |read_only: u64, data: u64| (read_only <= data && is_mapped(data)).then_some(data);
    match header.layout {
        Layout::Go116 => None,
        Layout::Go118 => {
            fits(words[DATA - 1], words[DATA]).or_else(|| fits(words[DATA_GO_118 - 1], words[DATA_GO_118]))
        }
        Layout::Go120 => fits(words[DATA - 1], words[DATA]),
    }
}

/// The address of the record.
fn place<S: ByteSource + ?Sized>(source: &S, elf: &Elf, header: &Header) -> Option<u64> {
    if let Some(section) = elf.sections.iter().find(|section| elf.name_of(section) == OWN) {
        return Some(section.address);
    }
    let (is_it, pair) = (u64::from(SHF_ALLOC | SHF_WRITE), [header.address, header.address + header.names]);
    let is_data = |section: &&Section| {
        section.kind == SHT_PROGBITS && section.flags & (is_it | u64::from(SHF_EXECINSTR)) == is_it
    };
    let sections = || elf.sections.iter().filter(is_data).filter(|section| section.has_bytes());
    let mut left = MAX_SEARCHED;
    for section in sections() {
        let size = section.size.min(left);
        left -= size;
        let (mut at, mut before, mut found) = (section.address, 0, None);
        // A section that cannot be read holds nothing.
        let _read = read::entries(source, section.offset, size, PART, |word: &[u8; 8]| {
            let word = u64::from_le_bytes(*word);
            if [before, word] == pair && found.is_none() {
                found = at.checked_sub(8);
            }
            (before, at) = (word, at.wrapping_add(8));
            Ok::<_, SymbolError>(())
        });
        if found.is_some() {
            return found;
        }
    }
    // A linker may have left the words to the loader.
    let (mut first, mut second) = (Vec::new(), Vec::new());
    each_relocation(source, elf, |address, value| {
        for (value_of, found) in pair.into_iter().zip([&mut first, &mut second]) {
            // Few words point there.
            if value == value_of && found.len() < 64 {
                found.push(address);
            }
        }
    });
    first.into_iter().find(|address| second.contains(&address.wrapping_add(8)))
}

/// The words of the record with the values that the loader sets.
fn words<S: ByteSource + ?Sized>(source: &S, elf: &Elf, address: u64) -> Option<Words> {
    let offset = elf.segments.iter().find_map(|segment| segment.offset_of(address))?;
    let bytes = read::bytes(source, offset, 8 * WORDS as u64, PART).ok()?;
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    each_relocation(source, elf, |at, value| {
        let index = at.checked_sub(address).filter(|into| into % 8 == 0).map(|into| into / 8);
        let word = index.and_then(|index| words.get_mut(usize::try_from(index).ok()?));
        if let Some(word) = word {
            *word = value;
        }
    });
    Some(words)
}

/// Calls `each` with each word that the loader sets, and its value.
fn each_relocation<S: ByteSource + ?Sized>(source: &S, elf: &Elf, mut each: impl FnMut(u64, u64)) {
    if elf.kind != ET_DYN {
        return;
    }
    // The dynamic linker's own, of which a file has one section and perhaps another for its stubs.
    let sections = elf.sections.iter().filter(|section| section.kind == SHT_RELA && section.has_bytes());
    for section in sections.filter(|section| section.flags & u64::from(SHF_ALLOC) != 0).take(4) {
        let each = |entry: &Rela64<Endianness>| {
            let endian = elf.endian;
            match (elf.machine, entry.r_type(endian, false)) {
                (EM_X86_64, R_X86_64_RELATIVE) | (EM_AARCH64, R_AARCH64_RELATIVE) => {
                    each(entry.r_offset.get(endian), entry.r_addend.get(endian).cast_unsigned());
                }
                _ => {}
            }
            Ok::<(), SymbolError>(())
        };
        // A section that cannot be read sets nothing.
        let _read = read::entries(source, section.offset, section.size, PART, each);
    }
}
