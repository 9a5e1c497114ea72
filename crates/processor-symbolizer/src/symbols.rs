//! The symbols of a file that is held, and those of its debug file.

use std::sync::Arc;

use bytesource::{ByteSource, OpenFile};
use foldhash::HashMap;
use pdata::{Function, Line, Lines, MappedFile};
use symbolize::{Demangle, Limits, Resolved, SourceLine, SymbolError, SymbolFile, demangle};

use crate::line_job::LineSource;
use crate::request::{Name, NamesByAddress, Unnamed};

/// Bytes that a name takes beside its text.
const NAME: usize = 160;
/// The most inlined functions of a file that are kept to be shared by lines.
const MAX_INLINED: usize = 16_384;

/// A function's name, and the file and line at which it begins.
type FunctionPlace = (Box<str>, Option<Box<str>>, u32);

/// The symbols of a file, and the names that were made of them.
#[derive(Debug)]
pub(crate) struct Symbols {
    /// Symbol tables; `None` if the file is of a format that has none.
    pub(crate) tables: Option<SymbolFile>,
    /// The debug file, with the symbols that this file was stripped of.
    debug: Option<DebugFile>,
    /// Names of functions by the address at which they begin, and whether the debug file has them.
    functions: HashMap<(bool, u64), Arc<Lines>>,
    /// Functions by name, file and line.
    by_line: HashMap<FunctionPlace, Arc<Function>>,
    pub(crate) bytes: usize,
}

/// A file with the symbols that another was stripped of, held open.
#[derive(Debug)]
pub(crate) struct DebugFile {
    pub(crate) file: Arc<OpenFile>,
    pub(crate) tables: SymbolFile,
    /// True if a server has sent the file.
    pub(crate) is_fetched: bool,
}

impl Symbols {
    /// Reads the tables of a file; also returns the outcome, as label of a metric.
    pub(crate) fn read<S: ByteSource>(
        source: &S,
        limits: Limits,
        file: &MappedFile,
    ) -> Result<(Self, &'static str), Unnamed> {
        let is_other = |symbols: &SymbolFile| match (file.build_id, symbols.outline().build_id()) {
            (Some(met), Some(found)) => met.as_bytes() != found,
            _ => false,
        };
        let (tables, outcome) = match SymbolFile::open(source, limits) {
            Ok(symbols) if is_other(&symbols) => return Err(Unnamed::Gone),
            Ok(symbols) if symbols.symbols() == 0 => (Some(symbols), "stripped"),
            Ok(symbols) => (Some(symbols), "read"),
            Err(SymbolError::Read(error)) => {
                tracing::debug!(path = %file.path.display(), %error, "Cannot read a file for its symbols.");
                return Err(Unnamed::Unreadable);
            }
            Err(error @ (SymbolError::Malformed { .. } | SymbolError::TooLarge { .. })) => {
                tracing::debug!(path = %file.path.display(), %error, "A file has no usable symbols.");
                (None, "refused")
            }
            Err(SymbolError::OtherFormat) => (None, "not_elf"),
        };
        let bytes = size_of::<Self>() + tables.as_ref().map_or(0, SymbolFile::memory);
        let (functions, by_line) = (HashMap::default(), HashMap::default());
        Ok((Self { tables, debug: None, functions, by_line, bytes }, outcome))
    }

    /// Adds the symbols of a debug file.
    pub(crate) fn complete(&mut self, debug: DebugFile) {
        self.bytes += size_of::<DebugFile>() + debug.tables.memory();
        self.debug = Some(debug);
    }

    /// True if a debug file is held open.
    pub(crate) fn has_debug_file(&self) -> bool {
        self.debug.is_some()
    }

    /// The debug file, if it has debug information.
    pub(crate) fn debug_information(&self) -> Option<LineSource> {
        let debug = self.debug.as_ref().filter(|debug| debug.tables.outline().has_debug_info())?;
        let file = Arc::clone(&debug.file);
        Some(if debug.is_fetched { LineSource::Fetched(file) } else { LineSource::Debug(file) })
    }

    /// The names of the code at offsets of the file, which is at hand as `source`.
    pub(crate) fn names<S: ByteSource>(
        &mut self,
        source: &S,
        offsets: &[u64],
        how: Demangle,
    ) -> NamesByAddress {
        offsets.iter().map(|&offset| (offset, self.name(source, offset, how))).collect()
    }

    fn name<S: ByteSource>(&mut self, source: &S, offset: u64, how: Demangle) -> Name {
        let (in_debug, resolved) = self.resolve(source, offset)?;
        if !resolved.lines.is_empty() {
            return Ok(self.lines(resolved.lines));
        }
        if let Some(known) = self.functions.get(&(in_debug, resolved.start)) {
            return Ok(Arc::clone(known));
        }
        let lines = name_only(resolved.name, how);
        self.bytes += NAME + lines.0.iter().map(|line| line.function.name.len()).sum::<usize>();
        self.functions.insert((in_debug, resolved.start), Arc::clone(&lines));
        Ok(lines)
    }

    /// The function at an offset, and true if it comes from the debug file: that file has more names than the file
    /// itself, but the file itself counts where it has lines, too.
    fn resolve<S: ByteSource>(&self, source: &S, offset: u64) -> Result<(bool, Resolved), Unnamed> {
        let tables = self.tables.as_ref().ok_or(Unnamed::Stripped)?;
        let address = tables.address_of(offset).ok_or(Unnamed::Stripped)?;
        let own = tables.resolve(source, address).map_err(|_error| Unnamed::Unreadable)?;
        let debug = self.debug.as_ref().filter(|_| own.as_ref().is_none_or(|own| own.lines.is_empty()));
        let debug = debug.and_then(|debug| debug.tables.resolve(&*debug.file, address).ok().flatten());
        let own = own.map(|own| (false, own));
        debug.map(|debug| (true, debug)).or(own).ok_or(Unnamed::Stripped)
    }

    /// Lines of an address, whose functions are shared with other addresses.
    fn lines(&mut self, lines: Vec<SourceLine>) -> Arc<Lines> {
        let lines = lines.into_iter().map(|line| {
            let SourceLine { function, file, line, start_line } = line;
            let key = (Box::from(function), file.map(Box::from), start_line);
            if let Some(known) = self.by_line.get(&key) {
                return Line { function: Arc::clone(known), line };
            }
            let (name, file, start_line) = key.clone();
            let function = Arc::new(Function { name, file, start_line, ..Function::default() });
            if self.by_line.len() < MAX_INLINED {
                let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
                self.bytes += NAME + 2 * (key.0.len() + text(&key.1));
                self.by_line.insert(key, Arc::clone(&function));
            }
            Line { function, line }
        });
        Arc::new(Lines(lines.collect()))
    }
}

/// The only line of a function of which nothing but the name is known.
fn name_only(name: String, how: Demangle) -> Arc<Lines> {
    let function = match demangle(&name, how) {
        Some(demangled) => {
            Function { name: demangled.into(), system_name: Some(name.into()), ..Function::default() }
        }
        None => Function { name: name.into(), ..Function::default() },
    };
    Arc::new(Lines(Box::new([Line { function: Arc::new(function), line: 0 }])))
}
