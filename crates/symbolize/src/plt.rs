//! Stubs by which a file calls functions of others: the procedure linkage table.
//!
//! A stub has no symbol of its own. It jumps through a slot of memory that a relocation has the dynamic linker fill,
//! and the relocation names the function.

use std::collections::HashMap;

use elffile::read;
use object::Endianness;
use object::elf::{
    EM_AARCH64, EM_X86_64, R_AARCH64_GLOB_DAT, R_AARCH64_IRELATIVE, R_AARCH64_JUMP_SLOT, R_X86_64_GLOB_DAT,
    R_X86_64_IRELATIVE, R_X86_64_JUMP_SLOT, Rela64, SHT_RELA,
};

use crate::elf::{Elf, Section};
use crate::flatten::Candidate;
use crate::names::NameRef;
use crate::symbols::SymbolSection;
use crate::{ByteSource, SymbolError};

/// Names of sections that hold stubs.
const STUBS: [&[u8]; 4] = [b".plt", b".plt.sec", b".plt.got", b".iplt"];
/// The most bytes of stubs, and the most slots, that are read.
const MAX_STUBS: u64 = 8 << 20;
const MAX_SLOTS: usize = 1 << 18;
/// The most sections of relocations that are read; sections may share their bytes.
const MAX_RELOCATION_SECTIONS: usize = 256;
/// The most bytes of one stub.
const LONGEST_STUB: u64 = 16;

/// A slot that a stub jumps through.
#[derive(Clone, Copy, Debug)]
struct Slot {
    address: u64,
    /// The number of the function's symbol, or the address of the function that chooses it.
    target: Target,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Symbol(u32),
    Chooser(u64),
}

/// Adds the stubs of a file to its functions, of which there may then be no more than `most`. `dynamic` is the dynamic
/// linker's symbol table.
pub(crate) fn add_stubs<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
    dynamic: Option<SymbolSection<'_>>,
    most: usize,
    functions: &mut Vec<Candidate<NameRef>>,
) -> Result<(), SymbolError> {
    if !elf.is_64 || elf.endian != Endianness::Little || ![EM_X86_64, EM_AARCH64].contains(&elf.machine) {
        return Ok(());
    }
    let stubs =
        || elf.sections.iter().filter(|section| STUBS.contains(&elf.name_of(section)) && section.is_code());
    if stubs().next().is_none() {
        return Ok(());
    }
    let (slots, lazy) = slots(source, elf)?;
    let names = names(source, dynamic, &slots, functions)?;
    // A linker makes one of each.
    for section in stubs().filter(|section| section.has_bytes()).take(STUBS.len()) {
        let code = read::bytes(source, section.offset, section.size.min(MAX_STUBS), "the linkage table")?;
        let found = match elf.machine {
            EM_X86_64 => x86_64(&code, section, &lazy),
            _ => aarch64(&code, section),
        };
        let ends = found
            .iter()
            .skip(1)
            .map(|(start, _)| *start)
            .chain([section.address.saturating_add(code.len() as u64)]);
        for (&(start, slot), next) in found.iter().zip(ends) {
            if let Some(&name) = names.get(&slot) {
                if functions.len() >= most {
                    return Err(SymbolError::TooLarge { part: "the linkage table" });
                }
                let end = next.min(start.saturating_add(LONGEST_STUB));
                functions.push(Candidate { start, end, rank: 0, name });
            }
        }
    }
    Ok(())
}

/// The slots of all relocations by which a stub may jump, and those of `.rela.plt` by number.
fn slots<S: ByteSource + ?Sized>(source: &S, elf: &Elf) -> Result<(Vec<Slot>, Vec<u64>), SymbolError> {
    let (mut slots, mut lazy) = (Vec::new(), Vec::new());
    let endian = elf.endian;
    let relocations = elf.sections.iter().filter(|section| section.kind == SHT_RELA && section.has_bytes());
    for section in relocations.take(MAX_RELOCATION_SECTIONS) {
        let by_number = elf.name_of(section) == b".rela.plt";
        read::entries(source, section.offset, section.size, "relocations", |entry: &Rela64<Endianness>| {
            let address = entry.r_offset.get(endian);
            if by_number && lazy.len() < MAX_SLOTS {
                lazy.push(address);
            }
            let target = match (elf.machine, entry.r_type(endian, false)) {
                (EM_X86_64, R_X86_64_JUMP_SLOT | R_X86_64_GLOB_DAT)
                | (EM_AARCH64, R_AARCH64_JUMP_SLOT | R_AARCH64_GLOB_DAT) => {
                    Target::Symbol(entry.r_sym(endian, false))
                }
                (EM_X86_64, R_X86_64_IRELATIVE) | (EM_AARCH64, R_AARCH64_IRELATIVE) => {
                    Target::Chooser(entry.r_addend.get(endian).cast_unsigned())
                }
                _ => return Ok::<_, SymbolError>(()),
            };
            if slots.len() < MAX_SLOTS {
                slots.push(Slot { address, target });
            }
            Ok(())
        })?;
    }
    Ok((slots, lazy))
}

/// The names of stubs by the addresses of their slots.
fn names<S: ByteSource + ?Sized>(
    source: &S,
    dynamic: Option<SymbolSection<'_>>,
    slots: &[Slot],
    functions: &[Candidate<NameRef>],
) -> Result<HashMap<u64, NameRef>, SymbolError> {
    let mut by_symbol: Vec<(u32, u64)> = Vec::new();
    let mut choosers: HashMap<u64, Option<NameRef>> = HashMap::new();
    for slot in slots {
        match slot.target {
            Target::Symbol(number) => by_symbol.push((number, slot.address)),
            Target::Chooser(function) => drop(choosers.insert(function, None)),
        }
    }
    by_symbol.sort_unstable();
    let numbers: Vec<u32> = by_symbol.iter().map(|(number, _)| *number).collect();
    let found = dynamic.map(|table| table.names(source, &numbers)).transpose()?.unwrap_or_default();
    let named = by_symbol.iter().zip(found);
    let mut names: HashMap<u64, NameRef> =
        named.filter_map(|((_, address), name)| Some((*address, name?.plt()?))).collect();
    if !choosers.is_empty() {
        for function in functions {
            if let Some(name) = choosers.get_mut(&function.start) {
                name.get_or_insert(function.name);
            }
        }
        names.extend(slots.iter().filter_map(|slot| match slot.target {
            Target::Chooser(function) => Some((slot.address, (*choosers.get(&function)?)?.plt()?)),
            Target::Symbol(_) => None,
        }));
    }
    Ok(names)
}

/// The stubs of a section for x86-64, each with the address of its slot.
fn x86_64(code: &[u8], section: &Section, lazy: &[u64]) -> Vec<(u64, u64)> {
    const ENDBR64: &[u8] = b"\xf3\x0f\x1e\xfa";
    let mut found = Vec::new();
    for at in (0..code.len()).step_by(8) {
        let stub = code.get(at..).unwrap_or_default();
        let start = section.address.wrapping_add(at as u64);
        let body = stub.strip_prefix(ENDBR64).unwrap_or(stub);
        if let Some(number) = body.strip_prefix(b"\x68").and_then(<[u8]>::first_chunk::<4>) {
            // push number; jmp to the start of the table
            let slot = usize::try_from(u32::from_le_bytes(*number)).ok().and_then(|number| lazy.get(number));
            found.extend(slot.map(|slot| (start, *slot)));
            continue;
        }
        // bnd
        let body = body.strip_prefix(b"\xf2").unwrap_or(body);
        // jmp *slot(%rip)
        if let Some(distance) = body.strip_prefix(b"\xff\x25").and_then(<[u8]>::first_chunk::<4>) {
            let after = start.wrapping_add((stub.len() - body.len()) as u64 + 6);
            found.push((start, after.wrapping_add_signed(i32::from_le_bytes(*distance).into())));
        }
    }
    found
}

/// The stubs of a section for 64-bit Arm, each with the address of its slot: `adrp x16, page; ldr x17, [x16, offset]`,
/// perhaps after `bti c`.
fn aarch64(code: &[u8], section: &Section) -> Vec<(u64, u64)> {
    const BTI_C: u32 = 0xd503_245f;
    let (words, _rest) = code.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let mut found = Vec::new();
    for (index, pair) in words.windows(2).enumerate() {
        let &[page, load] = pair else { continue };
        if page & 0x9f00_001f != 0x9000_0010 || load & 0xffc0_03ff != 0xf940_0211 {
            continue;
        }
        let at = section.address.wrapping_add(4 * index as u64);
        // 21 bits of pages, of which the lower two stand apart.
        let pages = i64::from((page << 8).cast_signed() >> 13) << 2 & !3 | i64::from(page >> 29 & 3);
        let slot =
            (at & !0xfff).wrapping_add_signed(pages << 12).wrapping_add(u64::from(load >> 10 & 0xfff) * 8);
        let marked = index.checked_sub(1).and_then(|before| words.get(before)) == Some(&BTI_C);
        found.push((if marked { at - 4 } else { at }, slot));
    }
    found
}
