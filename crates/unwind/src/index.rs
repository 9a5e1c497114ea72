//! The search for the entries that cover a range of addresses.

use zerocopy::little_endian::I32;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::cursor::Cursor;
use crate::elf::Section;
use crate::entry::{Entries, Fde};
use crate::window::{Budget, Window};
use crate::{ByteSource, PageRows, UnwindError};

/// The only encoding of a search table that link editors write: 4-byte offsets from the header (`datarel | sdata4`).
const TABLE_ENCODING: u8 = 0x3b;
/// The most functions of a file that has no search table: 16 MiB of index.
const MAX_SCANNED: usize = 1 << 20;
/// Work that reading a whole section may take, in bytes.
const SCAN_BUDGET: u64 = 512 << 20;
/// The most entries before the one found that are tried, to find one that is not empty.
const MAX_BACK: u8 = 16;
/// The most empty entries of one function that are skipped.
const MAX_EMPTY: u8 = 4;

/// The search table of `.eh_frame_hdr`: the functions' addresses, ascending, and the addresses of their entries.
#[derive(Debug)]
pub(crate) struct SearchTable {
    /// Address of the header, which all numbers are relative to.
    base: u64,
    /// Offset in the file of the first pair.
    pairs: u64,
    count: u64,
    window: Window,
}

#[derive(FromBytes, KnownLayout, Immutable, Unaligned, Clone, Copy)]
#[repr(C)]
struct Pair {
    start: I32,
    entry: I32,
}

impl SearchTable {
    /// Reads the header; also returns the address of `.eh_frame`. Returns no table if it is missing or of another
    /// encoding.
    pub(crate) fn read<S: ByteSource + ?Sized>(
        source: &S,
        header: Section,
    ) -> Result<(Option<u64>, Option<Self>), UnwindError> {
        let mut budget = Budget::new(1 << 20);
        let mut window = Window::default();
        let length = header.size.min(32);
        let Some(bytes) = window.at(source, header.offset, length, &mut budget)? else {
            return Ok((None, None));
        };
        let mut cursor = Cursor::new(bytes, header.address);
        let head = (|| Some([cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?]))();
        let Some([1, frame_encoding, count_encoding, table_encoding]) = head else { return Ok((None, None)) };
        let Some(eh_frame) = cursor.pointer(frame_encoding, Some(header.address)) else {
            return Ok((None, None));
        };
        let count = cursor.pointer(count_encoding, Some(header.address)).unwrap_or(0);
        let into = cursor.address().wrapping_sub(header.address);
        let fits = count.checked_mul(8).is_some_and(|bytes| bytes <= header.size.saturating_sub(into));
        let table = (table_encoding == TABLE_ENCODING && count > 0 && fits).then(|| Self {
            base: header.address,
            pairs: header.offset + into,
            count,
            window: Window::default(),
        });
        Ok((Some(eh_frame), table))
    }

    /// Addresses of a function and of its entry, by their number in the table.
    fn pair<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        at: u64,
        budget: &mut Budget,
    ) -> Result<(u64, u64), UnwindError> {
        let bytes = self.window.at(source, self.pairs + at * 8, 8, budget)?;
        let pair = bytes.and_then(|bytes| Pair::read_from_bytes(bytes).ok());
        let pair = pair.ok_or(UnwindError::Malformed { part: "the search table" })?;
        let address = |offset: I32| self.base.wrapping_add_signed(offset.get().into());
        Ok((address(pair.start), address(pair.entry)))
    }
}

/// A function that was found by reading the whole section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Scanned {
    start: u64,
    /// Offset of the entry in the section.
    entry: u32,
}

/// The way in which the entries of a section are found.
#[derive(Debug)]
enum Lookup {
    Table(Box<SearchTable>),
    Scanned(Vec<Scanned>),
    /// The section is to be scanned when an entry is first needed.
    Unread,
}

/// A section of entries and the way to find one.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Entries,
    lookup: Lookup,
}

impl Index {
    pub(crate) fn new(entries: Entries, table: Option<SearchTable>) -> Self {
        Self { entries, lookup: table.map_or(Lookup::Unread, |table| Lookup::Table(Box::new(table))) }
    }

    pub(crate) fn entries(&mut self) -> &mut Entries {
        &mut self.entries
    }

    pub(crate) fn memory(&self) -> usize {
        let scanned = match &self.lookup {
            Lookup::Scanned(all) => all.capacity() * size_of::<Scanned>(),
            _ => 0,
        };
        scanned + self.entries.memory()
    }

    /// Frees memory that only makes the next page faster.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink();
        if let Lookup::Table(table) = &mut self.lookup {
            table.window = Window::default();
        }
    }

    /// The functions that cover bytes of `from..to`, ascending and without overlap: of two that overlap the one that
    /// begins later wins from there on; of two that begin at the same address the longer one does.
    pub(crate) fn functions<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        from: u64,
        to: u64,
        budget: &mut Budget,
    ) -> Result<Vec<Fde>, UnwindError> {
        if let Lookup::Table(table) = &mut self.lookup {
            if let Some(found) = by_table(table, &mut self.entries, source, from, to, budget)? {
                return Ok(found);
            }
            // The table contradicts itself or the entries.
            self.lookup = Lookup::Unread;
        }
        if matches!(self.lookup, Lookup::Unread) {
            self.lookup = Lookup::Scanned(scan(&mut self.entries, source)?);
        }
        match &self.lookup {
            Lookup::Scanned(all) => by_scan(all, &mut self.entries, source, from, to, budget),
            _ => Ok(Vec::new()),
        }
    }
}

/// Finds functions by the search table; `None` if the table turns out to be wrong.
fn by_table<S: ByteSource + ?Sized>(
    table: &mut SearchTable,
    entries: &mut Entries,
    source: &S,
    from: u64,
    to: u64,
    budget: &mut Budget,
) -> Result<Option<Vec<Fde>>, UnwindError> {
    let (mut low, mut high) = (0, table.count);
    while low < high {
        let middle = low.midpoint(high);
        if table.pair(source, middle, budget)?.0 <= from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut found = Vec::new();
    // Goes back to the function that holds the first byte, over entries that cover nothing.
    let mut before: Option<u64> = None;
    for back in 1..=low.min(MAX_BACK.into()) {
        let (start, entry) = table.pair(source, low - back, budget)?;
        if before.is_some_and(|before| start != before) {
            break;
        }
        let Some(fde) = fde_at(entries, source, entry, budget)? else { continue };
        if fde.start != start {
            return Ok(None);
        }
        if fde.end > fde.start {
            before = Some(start);
            found.push(fde);
        }
    }
    found.reverse();
    let mut last = from;
    for at in low..table.count {
        let (start, entry) = table.pair(source, at, budget)?;
        if start >= to {
            break;
        }
        if start < last || found.len() as u64 > PageRows::SIZE {
            return Ok(None);
        }
        last = start;
        let Some(fde) = fde_at(entries, source, entry, budget)? else { continue };
        if fde.start != start {
            return Ok(None);
        }
        if fde.end > fde.start {
            found.push(fde);
        }
    }
    Ok(Some(apart(found, from)))
}

fn fde_at<S: ByteSource + ?Sized>(
    entries: &mut Entries,
    source: &S,
    address: u64,
    budget: &mut Budget,
) -> Result<Option<Fde>, UnwindError> {
    let Some(at) = address.checked_sub(entries.section.address) else { return Ok(None) };
    let Some(mut entry) = entries.entry(source, at, budget)? else { return Ok(None) };
    let named = entries.fde(source, entry, budget)?;
    // lld keeps one entry for each address in the table, which may be an empty one: the real one stands behind it.
    let Some(empty) = named.filter(|fde| fde.start == fde.end) else { return Ok(named) };
    for _ in 0..MAX_EMPTY {
        let Some(next) = entries.entry(source, entry.end(), budget)? else { break };
        match entries.fde(source, next, budget)? {
            Some(fde) if fde.start == empty.start && fde.end > fde.start => return Ok(Some(fde)),
            Some(fde) if fde.start == empty.start => entry = next,
            _ => break,
        }
    }
    Ok(named)
}

fn scan<S: ByteSource + ?Sized>(entries: &mut Entries, source: &S) -> Result<Vec<Scanned>, UnwindError> {
    let mut budget = Budget::new(SCAN_BUDGET);
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(entry) = entries.entry(source, at, &mut budget)? {
        // Each entry costs something even where its bytes are in memory already.
        budget.spend(16)?;
        if let Some(fde) = entries.fde(source, entry, &mut budget)?
            && fde.end > fde.start
        {
            let too_large = UnwindError::TooLarge { part: "the unwind table" };
            if all.len() >= MAX_SCANNED {
                return Err(too_large);
            }
            let Ok(entry) = u32::try_from(at) else { return Err(too_large) };
            all.push(Scanned { start: fde.start, entry });
        }
        at = entry.end();
    }
    all.sort_unstable();
    all.shrink_to_fit();
    Ok(all)
}

fn by_scan<S: ByteSource + ?Sized>(
    all: &[Scanned],
    entries: &mut Entries,
    source: &S,
    from: u64,
    to: u64,
    budget: &mut Budget,
) -> Result<Vec<Fde>, UnwindError> {
    let behind = all.partition_point(|scanned| scanned.start <= from);
    let (before, after) = all.split_at_checked(behind).unwrap_or((all, &[]));
    let holder = before.last().map(|last| last.start);
    let holders =
        before.iter().rev().take_while(|scanned| Some(scanned.start) == holder).take(MAX_BACK.into());
    let mut wanted: Vec<Scanned> = holders.copied().collect();
    wanted.reverse();
    wanted.extend(after.iter().take_while(|scanned| scanned.start < to));
    let mut found = Vec::new();
    for scanned in wanted {
        budget.spend(16)?;
        if let Some(entry) = entries.entry(source, scanned.entry.into(), budget)?
            && let Some(fde) = entries.fde(source, entry, budget)?
        {
            found.push(fde);
        }
    }
    Ok(apart(found, from))
}

/// Resolves overlaps of functions; `found` ascends by start.
fn apart(found: Vec<Fde>, from: u64) -> Vec<Fde> {
    let mut out: Vec<Fde> = Vec::with_capacity(found.len());
    for fde in found {
        match out.as_mut_slice() {
            [.., last] if last.start == fde.start => {
                if fde.end > last.end {
                    *last = fde;
                }
                continue;
            }
            [.., last] => last.end = last.end.min(fde.start),
            [] => {}
        }
        out.push(fde);
    }
    out.retain(|fde| fde.end > from);
    out
}
