//! Files, pages and rows as walks find them, within a bound on their memory.
//!
//! A walk holds no lock: it reads a page's place in one word, then the rows there. So memory that is taken away from
//! walks is used again only after all walks have ended that may have read it, and memory is written before the word
//! that leads to it.

use std::collections::BTreeMap;

use foldhash::HashMap;
use pdata::{BuildId, FileIdentity};
use unwind::{PageRows, RuleTable};

use super::kernel::{Kernel, KernelError, PAGES_BYTES, RULES_BYTES};
use super::owner::Owner;
use super::rules::Rules;
use super::spans::Spans;
use crate::abi::{self, FileIdentityKey, RowFile};
use crate::memory::SharedMemory;

/// Bytes of one chunk.
pub(crate) const CHUNK_BYTES: u64 = abi::CHUNK_ROWS as u64 * size_of::<u32>() as u64;
/// Bytes of the rules and the directory, which are allocated before any row is built.
pub(crate) const FIXED_BYTES: u64 = (RULES_BYTES + PAGES_BYTES) as u64;
/// Bytes that one file takes in the kernel's map: element, key and value, each rounded up as the kernel does.
const FILE_BYTES: u64 = 128;
/// The most pages of one file: 1 GiB of it.
pub(crate) const MAX_PAGES: u64 = 16_384;
/// Rows are placed in steps of this size, so that fewer spans are too short for use.
const STEP: u32 = 8;

/// The identity of the vDSO, whose rows stay: nobody can read it again.
pub(crate) const VDSO: FileIdentity =
    FileIdentity { device: 0, inode: 0, generation: abi::VDSO_GENERATION, modified: 0, extra: 0 };

/// The reason why a file or page could not be taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// All memory is in use by pages that walks have lately used.
    #[error("all memory for unwind rows is in use")]
    Full,
    /// The file or page has a size that no compiler makes.
    #[error("too large")]
    TooLarge,
    /// The file was taken out meanwhile.
    #[error("no such page")]
    Unknown,
    /// The kernel refused.
    #[error("the kernel refused memory for unwind rows")]
    Kernel(#[source] KernelError),
}

/// The place of a page's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowsPlace {
    pub(super) chunk: u32,
    pub(super) first: u32,
    pub(super) rows: u32,
}

impl RowsPlace {
    /// The word in which walks read the place.
    fn word(self) -> u64 {
        u64::from(self.first)
            | u64::from(self.rows) << 16
            | u64::from(self.chunk) << 32
            | abi::PAGE_BUILT << 48
    }

    /// The numbers of a chunk's span that so many rows take.
    fn taken(rows: u32) -> u32 {
        rows.next_multiple_of(STEP)
    }
}

/// The facts of a file that the tables need.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileFacts {
    pub(crate) build_id: Option<BuildId>,
    pub(crate) owner: Owner,
    pub(crate) pages: u64,
}

#[derive(Debug)]
pub(super) struct KnownFile {
    first_page: u32,
    pages: u32,
    pub(super) build_id: Option<BuildId>,
    pub(super) owner: Owner,
}

#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) memory: SharedMemory,
    rows: Spans,
}

/// The sizes of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSize {
    pub(crate) files: u64,
    pub(crate) pages: u64,
    pub(crate) rows: u64,
    pub(crate) rules: u64,
    pub(crate) bytes: u64,
    pub(crate) evicted: u64,
}

/// The tables of all files that walks can step in.
#[derive(Debug)]
pub(crate) struct Tables<K> {
    pub(super) kernel: K,
    pub(super) max_bytes: u64,
    pub(super) rules: Rules,
    directory: SharedMemory,
    directory_spans: Spans,
    /// Chunks by index; `None` where one was freed.
    pub(super) chunks: Vec<Option<Chunk>>,
    pub(super) files: HashMap<FileIdentity, KnownFile>,
    /// Files that have pages, by the number of their first one.
    owners: BTreeMap<u32, FileIdentity>,
    /// Pages that have rows, by number, with the rows' places.
    pub(super) built: BTreeMap<u32, RowsPlace>,
    rows: u64,
    pub(super) evicted: u64,
}

impl<K: Kernel> Tables<K> {
    /// Empty tables of at most `max_bytes` in all.
    pub(crate) fn new(
        kernel: K,
        rules_memory: SharedMemory,
        directory: SharedMemory,
        max_bytes: u64,
    ) -> Self {
        Self {
            kernel,
            max_bytes,
            rules: Rules::new(rules_memory),
            directory,
            directory_spans: Spans::new(abi::MAX_ROW_PAGES),
            chunks: Vec::new(),
            files: HashMap::default(),
            owners: BTreeMap::new(),
            built: BTreeMap::new(),
            rows: 0,
            evicted: 0,
        }
    }

    /// The sizes of the tables at present.
    pub(crate) fn size(&self) -> TableSize {
        TableSize {
            files: self.files.len() as u64,
            pages: self.built.len() as u64,
            rows: self.rows,
            rules: self.rules.table.used() as u64,
            bytes: self.bytes(),
            evicted: self.evicted,
        }
    }

    fn bytes(&self) -> u64 {
        let chunks = self.chunks.iter().flatten().count() as u64;
        FIXED_BYTES + chunks * CHUNK_BYTES + self.files.len() as u64 * FILE_BYTES
    }

    /// The rules of all pages, to which those of a page being built are added.
    pub(crate) fn rules(&mut self) -> &mut RuleTable {
        &mut self.rules.table
    }

    /// True if walks find the file. A file of another build ID is another file, and the known one is forgotten.
    pub(crate) fn knows(&mut self, file: FileIdentity, build_id: Option<BuildId>) -> bool {
        let Some(known) = self.files.get(&file) else { return false };
        if let (Some(known), Some(met)) = (known.build_id, build_id)
            && known != met
        {
            self.forget(&[file]);
            return false;
        }
        true
    }

    /// Lets walks find a file, none of whose pages is built.
    pub(crate) fn add_file(&mut self, file: FileIdentity, facts: FileFacts) -> Result<(), TableError> {
        if facts.pages > MAX_PAGES {
            return Err(TableError::TooLarge);
        }
        let pages = u32::try_from(facts.pages).map_err(|_wide| TableError::TooLarge)?;
        if self.files.len() >= abi::MAX_ROW_FILES || self.directory_spans.left() < pages {
            self.forget_older_half();
        }
        let first_page = match pages {
            0 => 0,
            pages => match self.directory_spans.take(pages) {
                Some(first) => first,
                None => {
                    self.forget_older_half();
                    self.directory_spans.take(pages).ok_or(TableError::Full)?
                }
            },
        };
        for number in first_page..first_page + pages {
            self.directory.publish(word_of(number), 0);
        }
        let rows = RowFile { first_page, pages, used: now(), reserved: 0 };
        if let Err(error) = self.kernel.put_file(&FileIdentityKey::of(file), rows) {
            if pages > 0 {
                self.directory_spans.give(first_page, pages);
            }
            return Err(TableError::Kernel(error));
        }
        if pages > 0 {
            self.owners.insert(first_page, file);
        }
        let FileFacts { build_id, owner, pages: _ } = facts;
        self.files.insert(file, KnownFile { first_page, pages, build_id, owner });
        Ok(())
    }

    /// The file that a page of the directory belongs to, and the number of the page in the file.
    pub(crate) fn owner(&self, number: u32) -> Option<(FileIdentity, u64)> {
        let (first, file) = self.owners.range(..=number).next_back()?;
        let within = number - first;
        (within < self.files.get(file)?.pages).then_some((*file, within.into()))
    }

    /// The numbers of a file's pages in the directory.
    pub(crate) fn number(&self, file: FileIdentity, page: u64) -> Option<u32> {
        let known = self.files.get(&file)?;
        let page = u32::try_from(page).ok().filter(|page| *page < known.pages)?;
        Some(known.first_page + page)
    }

    /// True if walks find the page's rows, or that it has none.
    pub(crate) fn is_built(&self, number: u32) -> bool {
        self.directory.word_64(word_of(number)) >> 48 == abi::PAGE_BUILT
    }

    /// Lets walks ask for a page again, which could not be built.
    pub(crate) fn ask_again(&self, number: u32) {
        if !self.is_built(number) {
            self.directory.publish(word_of(number), 0);
        }
    }

    /// Lets walks find the rows of a page, whose rules are in [`rules`](Self::rules).
    pub(crate) fn publish(&mut self, number: u32, page: &PageRows) -> Result<(), TableError> {
        if self.owner(number).is_none() {
            return Err(TableError::Unknown);
        }
        if self.is_built(number) {
            return Ok(());
        }
        self.rules.publish();
        if page.is_gap() {
            self.publish_gap(number);
            return Ok(());
        }
        let rows = u32::try_from(page.rows().len()).map_err(|_wide| TableError::TooLarge)?;
        // The number of rows has 16 bits.
        if RowsPlace::taken(rows) >= abi::CHUNK_ROWS {
            return Err(TableError::TooLarge);
        }
        let place = self.take_rows(rows)?;
        let chunk = self.chunks.get(place.chunk as usize).and_then(Option::as_ref);
        let memory = &chunk.ok_or(TableError::Unknown)?.memory;
        memory.write(place.first as usize, page.rows().iter().map(|row| zerocopy::transmute!(*row)));
        self.directory.write(stamp_of(number), std::iter::once(now()));
        self.directory.publish(word_of(number), place.word());
        self.built.insert(number, place);
        self.rules.table.count_page(page.rows().iter().copied());
        self.rows += u64::from(place.rows);
        Ok(())
    }

    /// Lets walks know that no table covers any byte of a page.
    pub(crate) fn publish_gap(&mut self, number: u32) {
        if !self.is_built(number) {
            self.directory.publish(word_of(number), abi::PAGE_BUILT << 48);
        }
    }

    fn take_rows(&mut self, rows: u32) -> Result<RowsPlace, TableError> {
        if let Some(place) = self.take_free_rows(rows) {
            return Ok(place);
        }
        if self.bytes() + CHUNK_BYTES <= self.max_bytes {
            self.add_chunk()?;
        } else {
            self.evict(rows);
        }
        self.take_free_rows(rows).ok_or(TableError::Full)
    }

    fn take_free_rows(&mut self, rows: u32) -> Option<RowsPlace> {
        let chunks = self.chunks.iter_mut().enumerate();
        chunks.filter_map(|(index, chunk)| Some((index, chunk.as_mut()?))).find_map(|(index, chunk)| {
            let chunk_index = u32::try_from(index).ok()?;
            let first = chunk.rows.take(RowsPlace::taken(rows))?;
            Some(RowsPlace { chunk: chunk_index, first, rows })
        })
    }

    fn add_chunk(&mut self) -> Result<(), TableError> {
        let free = self.chunks.iter().position(Option::is_none);
        let index = free.unwrap_or(self.chunks.len());
        if index >= abi::MAX_CHUNKS {
            return Err(TableError::Full);
        }
        let number = u32::try_from(index).map_err(|_wide| TableError::Full)?;
        let memory = self.kernel.add_chunk(number).map_err(TableError::Kernel)?;
        let chunk = Some(Chunk { memory, rows: Spans::new(abi::CHUNK_ROWS) });
        match self.chunks.get_mut(index) {
            Some(slot) => *slot = chunk,
            None => self.chunks.push(chunk),
        }
        Ok(())
    }

    /// Forgets files, all their pages included.
    pub(crate) fn forget(&mut self, files: &[FileIdentity]) {
        let mut numbers = Vec::new();
        let mut spans = Vec::new();
        for file in files {
            let Some(known) = self.files.remove(file) else { continue };
            self.kernel.remove_file(&FileIdentityKey::of(*file));
            if known.pages > 0 {
                self.owners.remove(&known.first_page);
                spans.push((known.first_page, known.pages));
                let own = known.first_page..known.first_page + known.pages;
                numbers.extend(self.built.range(own).map(|(number, _)| *number));
            }
        }
        self.evicted += numbers.len() as u64;
        // Walks that have found the file before go on in it, and find no page to ask for.
        for (first, pages) in &spans {
            for number in *first..first + pages {
                self.directory.publish(word_of(number), abi::PAGE_ASKED << 48);
            }
        }
        self.take_away(&numbers, abi::PAGE_ASKED << 48);
        spans.into_iter().for_each(|(first, pages)| self.directory_spans.give(first, pages));
    }

    /// Takes pages away from walks, and frees their rows for others once no walk reads them.
    pub(super) fn take_away(&mut self, numbers: &[u32], word: u64) {
        for number in numbers {
            self.directory.publish(word_of(*number), word);
        }
        self.kernel.wait_for_walks();
        for number in numbers {
            let Some(place) = self.built.remove(number) else { continue };
            self.rules.table.discount_page(self.rows(place));
            self.rows -= u64::from(place.rows);
            if let Some(Some(chunk)) = self.chunks.get_mut(place.chunk as usize) {
                chunk.rows.give(place.first, RowsPlace::taken(place.rows));
            }
        }
        self.give_chunks_back();
    }

    /// Frees unused chunks but one, which the next page needs.
    fn give_chunks_back(&mut self) {
        let is_unused = |chunk: &Option<Chunk>| chunk.as_ref().is_some_and(|chunk| chunk.rows.is_unused());
        let unused: Vec<usize> =
            (0..self.chunks.len()).filter(|at| self.chunks.get(*at).is_some_and(is_unused)).collect();
        // The first is the filler of the others' slots.
        for index in unused.into_iter().skip(1).filter(|index| *index > 0) {
            if let (Ok(number), Some(slot)) = (u32::try_from(index), self.chunks.get_mut(index)) {
                self.kernel.remove_chunk(number);
                *slot = None;
            }
        }
    }

    /// The time at which a walk last used a page.
    pub(super) fn used(&self, number: u32) -> u32 {
        self.directory.word_32(stamp_of(number))
    }
}

/// The index of the time at which a walk last used a page, in the directory's words of 32 bits.
fn stamp_of(number: u32) -> usize {
    number as usize * (size_of::<abi::RowPage>() / size_of::<u32>()) + 2
}

/// The index of a page's word in the directory, in words of 64 bits.
fn word_of(number: u32) -> usize {
    number as usize * (size_of::<abi::RowPage>() / size_of::<u64>())
}

/// The time as walks stamp it.
pub(super) fn now() -> u32 {
    u32::try_from(procfs::clock::now().as_nanos() >> abi::ROW_TIME_SHIFT).unwrap_or(u32::MAX)
}
