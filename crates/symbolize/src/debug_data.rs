//! `.gnu_debugdata`: symbols that distributions leave in files which are otherwise stripped, compressed by xz.

use std::io::Read as _;

use elffile::read;
use lzma_rust2::XzReader;
use object::elf::SHT_SYMTAB;

use crate::elf::{Elf, Section};
use crate::flatten::Candidate;
use crate::names::{NameKind, NameRef, Strings};
use crate::symbols::SymbolSection;
use crate::{ByteSource, SymbolError};

/// Name of the section.
const NAME: &[u8] = b".gnu_debugdata";
/// The most memory, in KiB, that decompressing may take beside its output: a dictionary of 8 MiB is xz's default.
const DICTIONARY_KIB: u32 = 16 << 10;
const PART: &str = "the compressed symbols";

/// Adds the functions of the file within a file to `out`, which may then hold no more than `most`. Returns the strings
/// with their names; nothing else of the packed file is kept. The unpacked file takes no more than `most_bytes`.
pub(crate) fn functions<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
    (most, most_bytes): (usize, usize),
    out: &mut Vec<Candidate<NameRef>>,
) -> Result<Strings, SymbolError> {
    let Some(bytes) = unpack(source, elf, most_bytes)? else { return Ok(Strings::Absent) };
    let inner = Elf::read(bytes.as_slice())?;
    let Some(section) = inner.section_of(SHT_SYMTAB) else { return Ok(Strings::Absent) };
    let table = SymbolSection { elf: &inner, section, kind: NameKind::Packed };
    table.functions(bytes.as_slice(), most, out)?;
    let Strings::InFile { offset, size } = table.strings() else { return Ok(Strings::Absent) };
    let size = size.min((bytes.len() as u64).saturating_sub(offset));
    Ok(Strings::AtHand(read::bytes(bytes.as_slice(), offset, size, PART)?.into()))
}

/// The ELF file that is packed within a file; `None` if there is none. The result takes no more than `most` bytes.
fn unpack<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
    most: usize,
) -> Result<Option<Vec<u8>>, SymbolError> {
    let mut sections = elf.sections.iter();
    let Some(section) = sections.find(|section| elf.name_of(section) == NAME && section.has_bytes()) else {
        return Ok(None);
    };
    let &Section { offset, size, .. } = section;
    if size > most as u64 {
        return Err(SymbolError::TooLarge { part: PART });
    }
    let packed = read::bytes(source, offset, size, PART)?;
    let mut out = Vec::new();
    let reader = XzReader::new_mem_limit(packed.as_slice(), false, DICTIONARY_KIB);
    // One byte more than may be is read: else a file that is cut off looks whole.
    let taken = reader.take(most as u64 + 1).read_to_end(&mut out);
    taken.map_err(|_damaged| SymbolError::Malformed { part: PART })?;
    if out.len() > most {
        return Err(SymbolError::TooLarge { part: PART });
    }
    Ok(Some(out))
}
