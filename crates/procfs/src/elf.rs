//! Facts of a file that only reading it finds out.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use object::elf::{
    ELF_NOTE_GNU, ELF_NOTE_GO, FileHeader32, FileHeader64, NT_GNU_BUILD_ID, NT_GO_BUILD_ID, PT_LOAD,
};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache, ReadCacheOps, ReadRef};
use pdata::{BuildId, ElfAddress, FileFacts, FileOffset, Segment};
use sha2::{Digest, Sha256};

/// Bytes at either end of a file that its `htlhash` covers.
const HASHED: u64 = 4096;
/// Bytes of headers and notes read at most, whatever a file says of their size.
const MAX_READ: u64 = 1 << 20;
/// Segments kept at most: linkers make a dozen, and each file remembered keeps its own.
const MAX_SEGMENTS: usize = 256;
/// The longest Go build ID kept; they have 83 bytes.
const MAX_GO_BUILD_ID: usize = 256;

/// Reads what there is to know of a file. For a file that is no ELF file, or a broken one, that is
/// its hash alone.
///
/// # Errors
/// Whatever reading says, such as a file cut short meanwhile.
pub fn read_facts(file: &mut (impl Read + Seek)) -> io::Result<FileFacts> {
    let facts = FileFacts { htlhash: htlhash(file)?, ..FileFacts::default() };
    let cache = ReadCache::new(file);
    let left = Cell::new(MAX_READ);
    let data = Bounded { cache: &cache, left: &left };
    let described = match FileKind::parse(data) {
        Ok(FileKind::Elf64) => describe::<FileHeader64<Endianness>, _>(data),
        Ok(FileKind::Elf32) => describe::<FileHeader32<Endianness>, _>(data),
        _ => return Ok(facts),
    };
    Ok(described.map_or(facts.clone(), |described| FileFacts { htlhash: facts.htlhash, ..described }))
}

/// OTLP's `process.executable.build_id.htlhash`: head, tail, length. In a file shorter than both
/// together they overlap.
fn htlhash(file: &mut (impl Read + Seek)) -> io::Result<[u8; 16]> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut hash = Sha256::new();
    let mut block = Vec::new();
    for start in [0, length.saturating_sub(HASHED)] {
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(HASHED).read_to_end(&mut block)?;
        hash.update(&block);
    }
    hash.update(length.to_be_bytes());
    let mut first = [0; 16];
    first.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    Ok(first)
}

fn describe<'a, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'a>>(data: R) -> object::Result<FileFacts> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let mut facts = FileFacts::default();
    let mut segments = Vec::new();
    for segment in header.program_headers(endian, data)? {
        if segment.p_type(endian) == PT_LOAD && segments.len() < MAX_SEGMENTS {
            segments.push(Segment {
                file_offset: FileOffset(segment.p_offset(endian).into()),
                size: segment.p_filesz(endian).into(),
                address: ElfAddress(segment.p_vaddr(endian).into()),
            });
        }
        // Broken notes are no reason to give up what the headers say.
        let Ok(Some(notes)) = segment.notes(endian, data) else { continue };
        for note in notes.map_while(Result::ok) {
            // The first valid one counts, as it does for the kernel (lib/buildid.c).
            match (note.name(), note.n_type(endian)) {
                (ELF_NOTE_GNU, NT_GNU_BUILD_ID) => {
                    facts.build_id = facts.build_id.or_else(|| BuildId::new(note.desc()));
                }
                (ELF_NOTE_GO, NT_GO_BUILD_ID) => {
                    facts.go_build_id = facts.go_build_id.or_else(|| go_build_id(note.desc()));
                }
                _ => {}
            }
        }
    }
    segments.sort_by_key(|segment| segment.file_offset);
    facts.segments = segments.into();
    Ok(facts)
}

fn go_build_id(desc: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(desc).ok()?.trim_end_matches('\0');
    (!text.is_empty() && text.len() <= MAX_GO_BUILD_ID).then(|| text.into())
}

/// A file of which only so much can be read: sizes in a file are not to be trusted with memory.
#[derive(Debug)]
struct Bounded<'a, R: ReadCacheOps> {
    cache: &'a ReadCache<R>,
    left: &'a Cell<u64>,
}

impl<R: ReadCacheOps> Clone for Bounded<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: ReadCacheOps> Copy for Bounded<'_, R> {}

impl<'a, R: ReadCacheOps> ReadRef<'a> for Bounded<'a, R> {
    fn len(self) -> Result<u64, ()> {
        self.cache.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.left.set(self.left.get().checked_sub(size).ok_or(())?);
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, _range: Range<u64>, _delimiter: u8) -> Result<&'a [u8], ()> {
        // Only string tables need it, and none is read here.
        Err(())
    }
}

#[cfg(test)]
mod tests;
