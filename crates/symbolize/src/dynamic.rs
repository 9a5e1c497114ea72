//! The dynamic linker's table, which leads to its symbols where a file has no section headers.

use elffile::read;
use object::elf::{
    DT_GNU_HASH, DT_HASH, DT_NULL, DT_STRSZ, DT_STRTAB, DT_SYMTAB, Dyn64, SHF_ALLOC, SHT_DYNSYM, SHT_STRTAB,
    Sym64,
};
use object::endian::Endian as _;
use object::read::elf::Dyn as _;
use object::{Endianness, pod};

use crate::elf::{Elf, Section};
use crate::{ByteSource, SymbolError};

const PART: &str = "the dynamic section";
/// The most buckets of symbols' hashes that are read.
const MAX_BUCKETS: u64 = 1 << 20;
/// The most symbols that are counted.
const MAX_SYMBOLS: u64 = 1 << 24;

/// Addresses and sizes that the dynamic linker's table has.
#[derive(Debug, Default)]
struct Table {
    symbols: u64,
    strings: u64,
    strings_size: u64,
    hash: u64,
    gnu_hash: u64,
}

/// Adds sections of the dynamic linker's symbols and strings to a file without section headers, made from the dynamic
/// linker's table; none if it lacks an entry, and none for files of 32 bits.
pub(crate) fn add_sections<S: ByteSource + ?Sized>(source: &S, elf: &mut Elf) {
    if let Some((offset, size)) = elf.dynamic.filter(|_| elf.is_64 && !elf.has_sections) {
        elf.sections = sections(source, elf, offset, size).ok().flatten().unwrap_or_default();
    }
}

fn sections<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
    offset: u64,
    size: u64,
) -> Result<Option<Vec<Section>>, SymbolError> {
    let (mut table, mut ended) = (Table::default(), false);
    read::entries(source, offset, size, PART, |entry: &Dyn64<Endianness>| {
        let (tag, value) = (entry.d_tag(elf.endian), entry.d_val(elf.endian));
        ended |= tag == u64::from(DT_NULL);
        let field = match u32::try_from(tag) {
            Ok(DT_SYMTAB) => &mut table.symbols,
            Ok(DT_STRTAB) => &mut table.strings,
            Ok(DT_STRSZ) => &mut table.strings_size,
            Ok(DT_HASH) => &mut table.hash,
            Ok(DT_GNU_HASH) => &mut table.gnu_hash,
            _ => return Ok::<_, SymbolError>(()),
        };
        if !ended {
            *field = value;
        }
        Ok(())
    })?;
    let offset_of = |address| elf.segments.iter().find_map(|segment| segment.offset_of(address));
    let (Some(symbols), Some(strings)) = (offset_of(table.symbols), offset_of(table.strings)) else {
        return Ok(None);
    };
    let count = match (offset_of(table.hash), offset_of(table.gnu_hash)) {
        (_, Some(hash)) if table.gnu_hash != 0 => symbols_by_gnu_hash(source, elf, hash)?,
        // The second word of the older table is the number of symbols.
        (Some(hash), _) if table.hash != 0 => word(source, elf, hash, 1)?.into(),
        _ => return Ok(None),
    };
    let section = |kind, address, offset, size, link| Section {
        name: 0,
        kind,
        flags: SHF_ALLOC.into(),
        address,
        offset,
        size,
        link,
        align: 0,
    };
    let size = count.min(MAX_SYMBOLS) * size_of::<Sym64<Endianness>>() as u64;
    Ok(Some(vec![
        section(SHT_DYNSYM, table.symbols, symbols, size, 1),
        section(SHT_STRTAB, table.strings, strings, table.strings_size, 0),
    ]))
}

/// The number of symbols: those with a hash stand last, and the last of each bucket is marked.
fn symbols_by_gnu_hash<S: ByteSource + ?Sized>(source: &S, elf: &Elf, hash: u64) -> Result<u64, SymbolError> {
    const FIXED: u64 = 16;
    let [buckets, first, filters] =
        [word(source, elf, hash, 0)?, word(source, elf, hash, 1)?, word(source, elf, hash, 2)?]
            .map(u64::from);
    let at = hash.saturating_add(FIXED + 8 * filters);
    let mut last = 0;
    read::entries(source, at, 4 * buckets.min(MAX_BUCKETS), PART, |bucket: &[u8; 4]| {
        last = last.max(u64::from(elf.endian.read_u32_bytes(*bucket)));
        Ok::<_, SymbolError>(())
    })?;
    let Some(mut into) = last.checked_sub(first) else { return Ok(first) };
    let chains = at.saturating_add(4 * buckets);
    while into < MAX_SYMBOLS && word(source, elf, chains, into)? & 1 == 0 {
        into += 1;
    }
    Ok(first + into + 1)
}

/// The four-byte number at `index` of a table at `at`.
fn word<S: ByteSource + ?Sized>(source: &S, elf: &Elf, at: u64, index: u64) -> Result<u32, SymbolError> {
    let bytes = read::bytes(source, at.saturating_add(4 * index), 4, PART)?;
    let word = pod::from_bytes::<[u8; 4]>(&bytes);
    let (word, _rest) = word.map_err(|()| SymbolError::Malformed { part: PART })?;
    Ok(elf.endian.read_u32_bytes(*word))
}
