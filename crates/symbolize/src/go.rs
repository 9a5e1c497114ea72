//! Go's own tables, `pclntab`: functions with files, lines and inlined functions, as Go 1.16 and later write them.
//! Stripped programs have them too, since Go's run time needs them.
//!
//! The parser reads only tables of 64-bit little-endian programs, since no others are sampled. Save the functions'
//! addresses, nothing is read before it is asked for.

mod find;
mod function;
mod inlined;
mod layout;
mod module;
mod values;

use self::function::Function;
use self::inlined::Inlined;
use self::layout::{Header, PART};
use self::module::Module;
use crate::elf::{Elf, Segment};
use crate::flatten::Candidate;
use crate::names::{NameKind, NameRef, Strings};
use crate::source_line::SourceLine;
use crate::{ByteSource, SymbolError};

/// The rank of a function of Go's tables, above symbols: the tables have more facts.
const RANK: u8 = 32;
/// The deepest nesting of inlined functions.
const DEEPEST: usize = 128;

/// The tables of a Go program.
#[derive(Debug)]
pub(crate) struct GoTables {
    header: Header,
    module: Module,
    /// The program's segments, to find the bytes at an address.
    segments: Box<[Segment]>,
}

impl GoTables {
    /// The tables of a file; `None` if the file is no Go program, or one whose tables are not understood.
    pub(crate) fn find<S: ByteSource + ?Sized>(source: &S, elf: &Elf) -> Option<Self> {
        let header = find::header(source, elf)?;
        let module = Module::find(source, elf, &header)?;
        Some(Self { header, module, segments: elf.segments.clone().into() })
    }

    /// Bytes that the tables hold in memory.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.segments)
    }

    /// Adds the functions to `out`, which may then hold no more than `most`.
    pub(crate) fn functions<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        most: usize,
        out: &mut Vec<Candidate<NameRef>>,
    ) -> Result<(), SymbolError> {
        // A function ends at the start of the next.
        let mut last: Option<(u64, u32)> = None;
        self.header.each_function(source, self.module.text, |start, at| {
            let before = last.replace((start, at)).filter(|(before, _)| *before < start);
            let Some((before, at)) = before else { return Ok(()) };
            let Some(name) = NameRef::new(NameKind::Go, at) else { return Ok(()) };
            if out.len() >= most {
                return Err(SymbolError::TooLarge { part: PART });
            }
            out.push(Candidate { start: before, end: start, rank: RANK, name });
            Ok(())
        })
    }

    /// The name of the function whose facts are at `at`, and the lines that an address in it is at, the innermost
    /// inlined function first. There are no lines if the tables contradict themselves there.
    pub(crate) fn resolve<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        at: u32,
        address: u64,
    ) -> Result<Option<(String, Vec<SourceLine>)>, SymbolError> {
        let function = Function::read(source, &self.header, &self.module, at)?;
        let Some(name) = self.name(source, function.name)? else { return Ok(None) };
        let lines = self.lines(source, &function, &name, address.saturating_sub(function.entry));
        match lines {
            Err(SymbolError::Read(error)) => Err(error.into()),
            // A fault of the lines is none of the name.
            lines => Ok(Some((name, lines.unwrap_or_default()))),
        }
    }

    fn lines<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        function: &Function,
        name: &str,
        mut into: u64,
    ) -> Result<Vec<SourceLine>, SymbolError> {
        let malformed = SymbolError::Malformed { part: PART };
        let mut lines = Vec::new();
        while let Some(inlined) = Inlined::at(source, &self.header, &self.segments, function, into)? {
            if lines.len() >= DEEPEST {
                return Err(malformed);
            }
            let Some(name) = self.name(source, inlined.name)? else { return Err(malformed) };
            lines.push(self.line(source, function, into, (name, inlined.start_line))?);
            // An instruction of the call, not the one after it.
            into = inlined.caller;
        }
        lines.push(self.line(source, function, into, (name.to_owned(), function.start_line))?);
        Ok(lines)
    }

    /// The line of an instruction that belongs to the function `name`, which may be inlined there.
    fn line<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        function: &Function,
        into: u64,
        (name, start_line): (String, u32),
    ) -> Result<SourceLine, SymbolError> {
        let value = |table| values::at(source, &self.header, table, into);
        let file = match value(function.file_values)?.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => self.file(source, function.unit, number)?,
            None => None,
        };
        let line = value(function.line_values)?.and_then(|line| u32::try_from(line).ok()).unwrap_or_default();
        Ok(SourceLine { function: name, file, line, start_line })
    }

    fn name<S: ByteSource + ?Sized>(&self, source: &S, at: u32) -> Result<Option<String>, SymbolError> {
        let names = Strings::InFile {
            offset: self.header.at.saturating_add(self.header.names),
            size: self.header.units.saturating_sub(self.header.names),
        };
        names.name(source, at)
    }

    /// The name of a file by its number in a compilation unit.
    fn file<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        unit: u32,
        number: u32,
    ) -> Result<Option<String>, SymbolError> {
        const NONE: u32 = u32::MAX;
        let index = u64::from(unit) + u64::from(number);
        let offset = match layout::word_at(source, self.header.at + self.header.units, 4 * index)? {
            NONE => return Ok(None),
            offset => offset,
        };
        let files = Strings::InFile {
            offset: self.header.at.saturating_add(self.header.files),
            size: self.header.values.saturating_sub(self.header.files),
        };
        files.name(source, offset)
    }
}
