//! The entries of `.eh_frame` and `.debug_frame`: the facts that functions share (CIE) and those that each has of its
//! own (FDE).

use foldhash::HashMap;

use crate::cie::Cie;
use crate::cursor::{ABSOLUTE, Cursor};
use crate::elf::Section;
use crate::interpret::Program;
use crate::state::State;
use crate::window::{Budget, LARGEST_READ, Windows};
use crate::{ByteSource, Machine, UnwindError};

/// The longest entry that is read. The longest of a Debian image has 30 KiB. Windows stay open at several entries of
/// each file: no entry may make a window larger than it is counted.
const MAX_ENTRY: u64 = LARGEST_READ;
/// The most CIEs that are kept; beyond this number all are read anew.
const MAX_CIES: usize = 256;

/// The two kinds of section, which differ in how an FDE names its CIE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    EhFrame,
    DebugFrame,
}

/// A function's entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fde {
    /// Address of the first instruction of the function.
    pub(crate) start: u64,
    pub(crate) end: u64,
    cie: u64,
    /// Offset of the instructions from the start of the section.
    instructions: u64,
    length: u64,
}

/// An entry whose length is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Offset of the first byte after the length.
    body: u64,
    length: u64,
    wide: bool,
}

impl Entry {
    /// The offset of the next entry.
    pub(crate) fn end(self) -> u64 {
        self.body + self.length
    }
}

/// Entries of one section, and the CIEs read so far.
#[derive(Debug)]
pub(crate) struct Entries {
    pub(crate) section: Section,
    dialect: Dialect,
    machine: Machine,
    cies: HashMap<u64, Option<Cie>>,
    shared: Windows,
    own: Windows,
}

impl Entries {
    pub(crate) fn new(section: Section, dialect: Dialect, machine: Machine) -> Self {
        Self {
            section,
            dialect,
            machine,
            cies: HashMap::default(),
            shared: Windows::default(),
            own: Windows::default(),
        }
    }

    /// Bytes that the entries hold in memory, about.
    pub(crate) fn memory(&self) -> usize {
        self.cies.len() * size_of::<(u64, Option<Cie>)>() + 2 * Windows::MOST_BYTES
    }

    /// Frees memory that only makes the next page faster.
    pub(crate) fn shrink(&mut self) {
        self.cies = HashMap::default();
        self.shared = Windows::default();
        self.own = Windows::default();
    }

    fn bytes<'w, S: ByteSource + ?Sized>(
        windows: &'w mut Windows,
        section: Section,
        source: &S,
        at: u64,
        length: u64,
        budget: &mut Budget,
    ) -> Result<Option<Cursor<'w>>, UnwindError> {
        if at.checked_add(length).is_none_or(|end| end > section.size) {
            return Ok(None);
        }
        let bytes = windows.at(source, section.offset + at, length, budget)?;
        Ok(bytes.map(|bytes| Cursor::new(bytes, section.address.wrapping_add(at))))
    }

    /// The entry at `at`; `None` at the end of the section.
    pub(crate) fn entry<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        at: u64,
        budget: &mut Budget,
    ) -> Result<Option<Entry>, UnwindError> {
        Self::entry_by(&mut self.own, self.section, source, at, budget)
    }

    fn entry_by<S: ByteSource + ?Sized>(
        windows: &mut Windows,
        section: Section,
        source: &S,
        at: u64,
        budget: &mut Budget,
    ) -> Result<Option<Entry>, UnwindError> {
        let Some(mut head) = Self::bytes(windows, section, source, at, 4, budget)? else { return Ok(None) };
        let entry = match head.u32() {
            None | Some(0) => return Ok(None),
            Some(u32::MAX) => {
                let Some(mut head) = Self::bytes(windows, section, source, at + 4, 8, budget)? else {
                    return Ok(None);
                };
                Entry { body: at + 12, length: head.u64().unwrap_or(0), wide: true }
            }
            Some(length) => Entry { body: at + 4, length: length.into(), wide: false },
        };
        // A length of 4 holds nothing but the id. Lengths that lead out of the section end it.
        let fits = entry.body.checked_add(entry.length).is_some_and(|end| end <= section.size);
        Ok((fits && entry.length >= 4).then_some(entry))
    }

    /// Reads an FDE; `None` for a CIE, and for an entry that is malformed or of no known function.
    pub(crate) fn fde<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        entry: Entry,
        budget: &mut Budget,
    ) -> Result<Option<Fde>, UnwindError> {
        if entry.length > MAX_ENTRY {
            return Ok(None);
        }
        let Some((cie_at, _)) = self.id(source, entry, budget)? else { return Ok(None) };
        let Some(cie) = self.cie(source, cie_at, budget)? else { return Ok(None) };
        let (encoding, augmented) = (cie.encoding, cie.augmented);
        let (section, id_size) = (self.section.address, self.id_size(entry));
        let Some(body) = Self::bytes(&mut self.own, self.section, source, entry.body, entry.length, budget)?
        else {
            return Ok(None);
        };
        let fde = (|mut body: Cursor<'_>| {
            body.take(id_size)?;
            let start = body.pointer(encoding, None)?;
            let end = start.checked_add(body.formatted(encoding)?)?;
            if augmented {
                let length = body.uleb()?;
                body.take(length)?;
            }
            let instructions = body.address().wrapping_sub(section);
            Some(Fde { start, end, cie: cie_at, instructions, length: body.rest().len() as u64 })
        })(body);
        Ok(fde)
    }

    /// The bytes of the id of an entry.
    fn id_size(&self, entry: Entry) -> u64 {
        if entry.wide && self.dialect == Dialect::DebugFrame { 8 } else { 4 }
    }

    /// The offset of the CIE that an FDE names, and true if the id is eight bytes wide. `None` for a CIE.
    fn id<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        entry: Entry,
        budget: &mut Budget,
    ) -> Result<Option<(u64, bool)>, UnwindError> {
        let size = self.id_size(entry);
        if entry.length < size {
            return Ok(None);
        }
        let Some(mut id) = Self::bytes(&mut self.own, self.section, source, entry.body, size, budget)? else {
            return Ok(None);
        };
        let wide = size == 8;
        let value = if wide { id.u64() } else { id.u32().map(u64::from) };
        let at = match (self.dialect, value) {
            (_, None) | (Dialect::EhFrame, Some(0)) => None,
            (Dialect::EhFrame, Some(back)) => entry.body.checked_sub(back),
            (Dialect::DebugFrame, Some(at)) => {
                let cie = if wide { u64::MAX } else { u32::MAX.into() };
                (at != cie).then_some(at)
            }
        };
        Ok(at.map(|at| (at, wide)))
    }

    fn cie<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        at: u64,
        budget: &mut Budget,
    ) -> Result<Option<&Cie>, UnwindError> {
        if !self.cies.contains_key(&at) {
            let cie = self.read_cie(source, at, budget)?;
            if self.cies.len() >= MAX_CIES {
                self.cies.clear();
            }
            self.cies.insert(at, cie);
        }
        Ok(self.cies.get(&at).and_then(Option::as_ref))
    }

    fn read_cie<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        at: u64,
        budget: &mut Budget,
    ) -> Result<Option<Cie>, UnwindError> {
        let Some(entry) = Self::entry_by(&mut self.shared, self.section, source, at, budget)? else {
            return Ok(None);
        };
        if entry.length > MAX_ENTRY {
            return Ok(None);
        }
        budget.spend(entry.length)?;
        let id_size = self.id_size(entry);
        let body = Self::bytes(&mut self.shared, self.section, source, entry.body, entry.length, budget)?;
        Ok(body.and_then(|body| parse_cie(body, id_size, self.dialect, self.machine)))
    }

    /// Calls `emit` with the states of a function, as [`Program::run`] does.
    pub(crate) fn states<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        fde: Fde,
        budget: &mut Budget,
        emit: impl FnMut(u64, u64, &State, bool) -> bool,
    ) -> Result<(), UnwindError> {
        budget.spend(fde.length)?;
        let mut emit = emit;
        // Reads the CIE again if the cache of CIEs was cleared since.
        if self.cie(source, fde.cie, budget)?.is_none() {
            return Ok(());
        }
        let Some(Some(cie)) = self.cies.get(&fde.cie) else { return Ok(()) };
        let instructions =
            Self::bytes(&mut self.own, self.section, source, fde.instructions, fde.length, budget)?;
        if let Some(instructions) = instructions {
            let program = Program { machine: self.machine, cie, start: fde.start, end: fde.end };
            program.run(instructions, |from, to, state| emit(from, to, state, cie.signal));
        }
        Ok(())
    }
}

fn parse_cie(mut body: Cursor<'_>, id_size: u64, dialect: Dialect, machine: Machine) -> Option<Cie> {
    let id = body.take(id_size)?;
    let expected = if dialect == Dialect::EhFrame { 0 } else { 0xff };
    if id.iter().any(|byte| *byte != expected) {
        return None;
    }
    let version = body.u8()?;
    if !matches!(version, 1 | 3 | 4) {
        return None;
    }
    let augmentation = body.string()?;
    if version == 4 {
        let (address_size, segment_size) = (body.u8()?, body.u8()?);
        if address_size != 8 || segment_size != 0 {
            return None;
        }
    }
    let mut cie =
        Cie { code_factor: body.uleb()?, data_factor: body.sleb()?, encoding: ABSOLUTE, ..Cie::default() };
    let return_register = if version == 1 { body.u8()?.into() } else { body.uleb()? };
    if return_register != crate::state::Registers::of(machine).ra.into() {
        return None;
    }
    if let Some((first, rest)) = augmentation.split_first() {
        if *first != b'z' {
            return None;
        }
        cie.augmented = true;
        let length = body.uleb()?;
        let address = body.address();
        let mut data = Cursor::new(body.take(length)?, address);
        for letter in rest {
            match letter {
                b'L' => {
                    data.u8()?;
                }
                b'P' => {
                    let encoding = data.u8()?;
                    data.formatted(encoding)?;
                }
                b'R' => cie.encoding = data.u8()?,
                b'S' => cie.signal = true,
                // Pointer authentication with the second key, memory tagging: no data.
                b'B' | b'G' => {}
                // Data follows whose length is not known; what stands behind it is skipped as a whole.
                _ => break,
            }
        }
    }
    let program = Program { machine, cie: &cie, start: 0, end: 0 };
    let initial = program.run(body, |_, _, _| true)?;
    cie.initial = initial;
    Some(cie)
}
