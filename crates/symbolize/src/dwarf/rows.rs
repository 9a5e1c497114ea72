//! The lines of a unit's code.

use gimli::{Dwarf, Reader as _, Section as _};

use super::room::{Room, TableError};
use super::text::{TakenTexts, TextAt};
use super::unit::UnitRoot;
use super::window::{Effort, SectionBytes, Window};

/// The most bytes of the names of files and directories before a unit's lines.
const MAX_HEADER: u64 = 1 << 20;

/// The lines of a unit.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Box<[Row]>,
    /// Sequences of rows, by start.
    sequences: Box<[Sequence]>,
    /// Files by their numbers.
    files: Box<[FileAt]>,
    directory: Option<TextAt>,
}

/// A file and a line, from an address to the next row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    address: u64,
    file: u32,
    line: u32,
}

/// Rows of code without a gap.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    start: u64,
    end: u64,
    /// Index of the sequence's first row, and of the row after its last.
    rows: (usize, usize),
}

/// The places of the name and the directory of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileAt {
    pub(super) name: Option<TextAt>,
    pub(super) directory: Option<TextAt>,
}

impl Rows {
    pub(super) fn read<'a>(
        dwarf: &Dwarf<Window<'a>>,
        effort: &Effort,
        root: &UnitRoot<'a>,
        room: &mut Room,
    ) -> Result<Self, TableError> {
        let Some(at) = root.lines else { return Ok(Self::default()) };
        check_header(*dwarf.debug_line.reader(), at)?;
        let size = root.unit.header.address_size();
        let directory = root.unit.comp_dir;
        let program = dwarf.debug_line.program(gimli::DebugLineOffset(at), size, directory, None)?;
        let mut out = Building::default();
        let mut rows = program.rows();
        while let Some((_, row)) = rows.next_row()? {
            effort.spend(1)?;
            out.push(row, room)?;
        }
        out.sequences.sort_by_key(|sequence| sequence.start);
        let text = |value| Some(TextAt::of(&dwarf.attr_string(&root.unit, value).ok()?));
        let header = rows.header();
        let mut files = Vec::new();
        // Up to version 4, files are counted from 1 on.
        for number in 0..=header.file_names().len() as u64 {
            room.take(size_of::<FileAt>())?;
            let file = header.file(number);
            files.push(FileAt {
                name: file.and_then(|file| text(file.path_name())),
                directory: file.and_then(|file| text(file.directory(header)?)),
            });
        }
        Ok(Self {
            rows: out.rows.into(),
            sequences: out.sequences.into(),
            files: files.into(),
            directory: directory.as_ref().map(TextAt::of),
        })
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.rows) + size_of_val(&*self.sequences) + size_of_val(&*self.files)
    }

    /// Takes a text that is in one of those sections.
    pub(super) fn take_texts(
        &mut self,
        texts: &mut TakenTexts,
        sections: &[SectionBytes<'_>],
        room: &mut Room,
    ) -> Result<(), TableError> {
        let directory = self.directory.map_or(Ok(None), |text| texts.take(text, sections, room))?;
        self.directory = directory;
        Ok(())
    }

    /// The number of the file and the line of an address.
    pub(super) fn find(&self, address: u64) -> Option<(u32, u32)> {
        let after = self.sequences.partition_point(|sequence| sequence.start <= address);
        let sequence = self.sequences.get(after.checked_sub(1)?).filter(|sequence| address < sequence.end)?;
        let rows = self.rows.get(sequence.rows.0..sequence.rows.1)?;
        let row = rows.get(rows.partition_point(|row| row.address <= address).checked_sub(1)?)?;
        Some((row.file, row.line))
    }

    /// The places of the name and the directory of a file by its number.
    pub(super) fn file(&self, number: u32) -> Option<FileAt> {
        self.files.get(usize::try_from(number).ok()?).copied()
    }

    /// The directory that paths of files are relative to.
    pub(super) fn directory(&self) -> Option<TextAt> {
        self.directory
    }
}

/// Rows and sequences of a unit that is being read.
#[derive(Debug, Default)]
struct Building {
    rows: Vec<Row>,
    sequences: Vec<Sequence>,
    /// Index of the first row of the sequence that is being read.
    first: usize,
}

impl Building {
    fn push(&mut self, row: &gimli::LineRow, room: &mut Room) -> Result<(), TableError> {
        let address = row.address();
        if row.end_sequence() {
            return self.end_sequence(address, room);
        }
        let line = row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0));
        let next = Row { address, file: u32::try_from(row.file_index()).unwrap_or(u32::MAX), line };
        let own = self.rows.get_mut(self.first..).unwrap_or_default();
        match own {
            // Of several rows of an address the last holds.
            [.., last] if last.address == address => *last = next,
            // Nothing is lost: the address is still at the same line.
            [.., last] if (last.file, last.line) == (next.file, next.line) && last.address < address => {}
            _ => {
                room.take(size_of::<Row>())?;
                self.rows.push(next);
            }
        }
        Ok(())
    }

    fn end_sequence(&mut self, end: u64, room: &mut Room) -> Result<(), TableError> {
        let own = self.rows.get_mut(self.first..).unwrap_or_default();
        if !own.is_sorted_by_key(|row| row.address) {
            own.sort_by_key(|row| row.address);
        }
        // Code that the linker has left out begins at 0.
        let start = own.first().map(|row| row.address).filter(|start| *start != 0 && *start < end);
        match start {
            None => self.rows.truncate(self.first),
            Some(start) => {
                room.take(size_of::<Sequence>())?;
                self.sequences.push(Sequence { start, end, rows: (self.first, self.rows.len()) });
            }
        }
        self.first = self.rows.len();
        Ok(())
    }
}

/// Checks that the header at an offset of `.debug_line` is not larger than it may be: gimli makes room for as many
/// names of files as there could be in it.
fn check_header(section: Window<'_>, at: usize) -> Result<(), TableError> {
    let mut header = section;
    header.skip(at)?;
    let (_, format) = header.read_initial_length()?;
    // From version 5 on, sizes of an address and of a selector come between.
    if header.read_u16()? >= 5 {
        header.skip(2)?;
    }
    let length = header.read_length(format)?;
    if length as u64 > MAX_HEADER { Err(TableError::Full) } else { Ok(()) }
}
