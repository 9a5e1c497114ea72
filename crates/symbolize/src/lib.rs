//! Names for addresses of a file, of the kernel or of code compiled at run time: the functions that hold them.
//!
//! The crate opens no file. Its parsers take a [`ByteSource`] or bytes, trust none of them, and are bounded in time and
//! memory. Start reading at [`SymbolFile`].

mod debug_data;
mod debug_link;
mod demangle;
mod dwarf;
mod dynamic;
mod elf;
mod flatten;
mod go;
mod jit_dump;
mod jit_functions;
mod kernel;
mod names;
mod outline;
mod perf_map;
mod plt;
mod source_line;
mod symbol_file;
mod symbols;
mod table;
#[cfg(test)]
mod tests;

pub use bytesource::ByteSource;
pub use debug_link::DebugLink;
pub use demangle::{Demangle, demangle};
pub use dwarf::{DebugPart, DebugParts, LineTables};
pub use elf::build_id_of_whole;
/// The reason for which names of a file cannot be had.
pub use elffile::ElfError as SymbolError;
pub use jit_dump::JitDump;
pub use jit_functions::{AddedFunctions, JitFunction, JitFunctions};
pub use kernel::{KernelFunction, KernelSymbols};
pub use outline::Outline;
pub use perf_map::PerfMap;
pub use source_line::SourceLine;
pub use symbol_file::{Limits, Resolved, SymbolFile};
