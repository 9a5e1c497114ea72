//! Facts of a file that only reading the file finds out.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom};

use bytesource::ByteSource;
use elffile::{ElfError, Header, Note, Notes, read};
use object::elf::{ELF_NOTE_GNU, ELF_NOTE_GO, NT_GNU_BUILD_ID, NT_GO_BUILD_ID, PT_LOAD, PT_NOTE};
use pdata::{BuildId, ElfAddress, FileFacts, FileOffset, Segment};
use sha2::{Digest, Sha256};

/// Bytes at either end of a file that its `htlhash` covers.
const HASHED: u64 = 4096;
/// Bytes of notes read at most, whatever a file says of their size.
const MAX_NOTES: u64 = 1 << 20;
/// Program headers read at most: a mebibyte of them.
const MAX_HEADERS: u16 = 18_000;
/// Segments kept at most: linkers make a dozen, and each file remembered keeps its own.
const MAX_SEGMENTS: usize = 256;
/// The longest Go build ID kept; they have 83 bytes.
const MAX_GO_BUILD_ID: usize = 256;

/// Reads all facts of a file. For a file that is no ELF file, or a broken one, the only fact is its hash.
///
/// # Errors
/// Any error of reading, such as that of a file cut short meanwhile.
pub fn read_facts(file: &mut (impl Read + Seek)) -> io::Result<FileFacts> {
    let htlhash = htlhash(file)?;
    let described = Source::new(file).ok().and_then(|source| describe(&source).ok());
    Ok(FileFacts { htlhash, ..described.unwrap_or_default() })
}

/// Computes OTLP's `process.executable.build_id.htlhash`: of head, tail and length. In a file shorter than head and
/// tail together, the two overlap.
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

fn describe<S: ByteSource>(source: &S) -> Result<FileFacts, ElfError> {
    let header = Header::read(source)?;
    let mut facts = FileFacts::default();
    let mut segments = Vec::new();
    let mut room_for_notes = MAX_NOTES;
    for segment in header.segments(source, MAX_HEADERS)? {
        if segment.kind == PT_LOAD && segments.len() < MAX_SEGMENTS {
            segments.push(Segment {
                file_offset: FileOffset(segment.offset),
                size: segment.size,
                address: ElfAddress(segment.address),
            });
        }
        if segment.kind != PT_NOTE || segment.size > room_for_notes {
            continue;
        }
        // Broken notes are no reason to give up the facts in the headers.
        let Ok(notes) = read::bytes(source, segment.offset, segment.size, "notes") else { continue };
        room_for_notes -= segment.size;
        Notes::new(&notes, header.endian, segment.align).for_each(|note| take_note(&mut facts, note));
    }
    segments.sort_by_key(|segment| segment.file_offset);
    facts.segments = segments.into();
    Ok(facts)
}

/// Takes a build ID in. The first valid one counts, as it does for the kernel (lib/buildid.c).
fn take_note(facts: &mut FileFacts, note: Note<'_>) {
    match (note.name, note.kind) {
        (ELF_NOTE_GNU, NT_GNU_BUILD_ID) => {
            facts.build_id = facts.build_id.or_else(|| BuildId::new(note.bytes));
        }
        (ELF_NOTE_GO, NT_GO_BUILD_ID) if facts.go_build_id.is_none() => {
            facts.go_build_id = go_build_id(note.bytes);
        }
        _ => {}
    }
}

fn go_build_id(desc: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(desc).ok()?.trim_end_matches('\0');
    (!text.is_empty() && text.len() <= MAX_GO_BUILD_ID).then(|| text.into())
}

/// An open file as a source of bytes.
struct Source<'a, F> {
    file: RefCell<&'a mut F>,
    size: u64,
}

impl<'a, F: Read + Seek> Source<'a, F> {
    fn new(file: &'a mut F) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self { file: RefCell::new(file), size })
    }
}

impl<F: Read + Seek> ByteSource for Source<'_, F> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}

#[cfg(test)]
mod tests;
