//! Places in the code as samples have them, in files that may not have been read yet.

use std::sync::Arc;

use pdata::{Backing, Code, Frame, MappedFile, Mapping, Pc};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::model::{FrameKind, Function, Line, Lines, Location, OTHER, Tables};
use crate::table::{Id, Table};

/// Name of the kernel's page of user code, an ELF image linked at 0.
const VDSO: &str = "[vdso]";
/// Name of the kernel's code while its mappings are not known.
const KERNEL: &str = "[kernel]";
/// Most entries of a map that is keyed by addresses in memory; a full map is cleared, since its values may have been
/// replaced by equal ones at other addresses.
const REMEMBERED: usize = 1 << 16;
/// Most files whose places are numbered.
const MAX_FILES: usize = 1 << 16;

/// A place in the code, as sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CodePlace {
    pub(super) code: PlaceCode,
    pub(super) lines: Option<Id<Lines>>,
    pub(super) kind: FrameKind,
}

/// The code that a place is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PlaceCode {
    /// A mapped file.
    File {
        /// Number of the file in `files`.
        file: usize,
        /// Offset in the file at which its mapping begins.
        offset: u64,
        /// Length of the mapping, in bytes.
        length: u64,
        /// Offset of the place in the file.
        at: u64,
    },
    /// Code of the kernel or one of its modules, at an address that counts from the start of its text.
    Kernel { name: Id<str>, build_id: Option<Id<str>>, length: u64, address: u64 },
    /// Memory that has a name but no file.
    Named { name: Id<str>, address: u64 },
    /// Memory without a known mapping, and functions without an address.
    Unmapped { address: u64 },
}

/// The places that samples refer to, by provisional numbers.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) places: Table<CodePlace>,
    /// Numbers of files by their addresses in memory, which stay theirs since `files` holds them.
    files_by_address: FxHashMap<usize, usize>,
    pub(super) files: Vec<Arc<MappedFile>>,
    /// Names of memory by their addresses, which stay theirs since the entry holds them.
    names: FxHashMap<usize, (Arc<str>, Id<str>)>,
    /// Lines by their addresses, which stay theirs since the entry holds them.
    lines: FxHashMap<usize, (Arc<pdata::Lines>, Id<Lines>)>,
}

impl Places {
    /// True if there is no room for another file.
    pub(super) fn is_full(&self) -> bool {
        self.files.len() >= MAX_FILES
    }

    /// The number of a frame's location, which is added if it is new; `None` if it is new and there is no `room` for
    /// another.
    pub(super) fn location(
        &mut self,
        frame: &Frame,
        tables: &mut Tables,
        room: bool,
    ) -> Option<Id<Location>> {
        let pc = frame.lookup_pc();
        let (code, of_code) = match &frame.code {
            Code::Kernel => (self.kernel(pc.0, tables), None),
            Code::Unknown => (PlaceCode::Unmapped { address: pc.0 }, None),
            Code::Mapped(mapping) => (self.mapped(mapping, pc, tables), None),
            Code::Interpreted(function, line) => {
                let line = pdata::Line { function: Arc::clone(function), line: *line };
                (PlaceCode::Unmapped { address: 0 }, Some(lines_of(&[line], tables)))
            }
        };
        let lines = match &frame.lines {
            Some(lines) if !lines.0.is_empty() => Some(self.lines(lines, tables)),
            _ => of_code,
        };
        let kind = match &frame.code {
            Code::Interpreted(..) => FrameKind::Interpreted,
            code if code.is_kernel() => FrameKind::Kernel,
            _ => FrameKind::User,
        };
        self.number(CodePlace { code, lines, kind }, room)
    }

    /// The place of a sample without frames, since readers of most formats drop a sample without any.
    pub(super) fn nowhere(&mut self, kernel: bool, tables: &mut Tables, room: bool) -> Option<Id<Location>> {
        let place = match kernel {
            true => CodePlace { code: self.kernel(0, tables), lines: None, kind: FrameKind::Kernel },
            false => {
                CodePlace { code: PlaceCode::Unmapped { address: 0 }, lines: None, kind: FrameKind::User }
            }
        };
        self.number(place, room)
    }

    /// The place that stands for all samples beyond the bounds.
    pub(super) fn other(&mut self, tables: &mut Tables) -> Id<Location> {
        let name = tables.texts.intern(OTHER);
        let function =
            tables.functions.intern(Function { name, system_name: None, file: None, start_line: 0 });
        let lines = SmallVec::from([Line { function, line: 0, column: 0 }]);
        let lines = Some(tables.lines.intern(lines));
        let place = CodePlace { code: PlaceCode::Unmapped { address: 0 }, lines, kind: FrameKind::User };
        Id::of_index(self.places.intern(place).index())
    }

    fn number(&mut self, place: CodePlace, room: bool) -> Option<Id<Location>> {
        let number = self.places.intern_within(place, room)?;
        Some(Id::of_index(number.index()))
    }

    fn kernel(&mut self, address: u64, tables: &mut Tables) -> PlaceCode {
        PlaceCode::Named { name: tables.texts.intern(KERNEL), address }
    }

    fn mapped(&mut self, mapping: &Arc<Mapping>, pc: Pc, tables: &mut Tables) -> PlaceCode {
        match &mapping.backing {
            Backing::File(file) => PlaceCode::File {
                file: self.file(file),
                offset: mapping.file_offset.0,
                length: mapping.end.0.saturating_sub(mapping.start.0),
                at: mapping.offset_of(pc).0,
            },
            Backing::Kernel(image) => PlaceCode::Kernel {
                name: tables.texts.intern(&image.name),
                build_id: image.build_id.map(|id| tables.texts.intern(&id.to_string())),
                length: mapping.end.0.saturating_sub(mapping.start.0),
                address: pc.0.wrapping_sub(mapping.start.0),
            },
            Backing::Special(name) => {
                let base = if **name == *VDSO { mapping.start.0 } else { 0 };
                PlaceCode::Named { name: self.name(name, tables), address: pc.0.wrapping_sub(base) }
            }
            Backing::Anonymous(_) => {
                PlaceCode::Named { name: tables.texts.intern(pdata::ANONYMOUS), address: pc.0 }
            }
        }
    }

    fn file(&mut self, file: &Arc<MappedFile>) -> usize {
        let new = self.files.len();
        let number = *self.files_by_address.entry(Arc::as_ptr(file).addr()).or_insert(new);
        if number == new {
            self.files.push(Arc::clone(file));
        }
        number
    }

    fn name(&mut self, name: &Arc<str>, tables: &mut Tables) -> Id<str> {
        if self.names.len() >= REMEMBERED {
            self.names.clear();
        }
        let known = self.names.entry(Arc::as_ptr(name).cast::<u8>().addr());
        known.or_insert_with(|| (Arc::clone(name), tables.texts.intern(name))).1
    }

    fn lines(&mut self, lines: &Arc<pdata::Lines>, tables: &mut Tables) -> Id<Lines> {
        if self.lines.len() >= REMEMBERED {
            self.lines.clear();
        }
        let known = self.lines.entry(Arc::as_ptr(lines).addr());
        known.or_insert_with(|| (Arc::clone(lines), lines_of(&lines.0, tables))).1
    }
}

fn lines_of(lines: &[pdata::Line], tables: &mut Tables) -> Id<Lines> {
    let lines = lines.iter().map(|pdata::Line { function, line }| {
        let texts = &mut tables.texts;
        let function = Function {
            name: texts.intern(&function.name),
            system_name: function.system_name.as_ref().map(|name| texts.intern(name)),
            file: function.file.as_ref().map(|file| texts.intern(file)),
            start_line: function.start_line,
        };
        Line { function: tables.functions.intern(function), line: *line, column: 0 }
    });
    let lines: Lines = lines.collect();
    tables.lines.intern(lines)
}
