//! A profile in memory, gathered from samples or read from a file, and the formats that it can be written in.
//!
//! Pure: functions take and return bytes; nothing opens files or reads clocks. Begin at [`Profile`]: plain tables and
//! samples that refer to them. A [`Gatherer`] fills one from the pipeline's events, exact to the sample and within its
//! bounds; [`Profile::merge`] adds one to another.

pub mod diff;
mod escape;
mod facts;
pub mod firefox;
#[cfg(test)]
mod fixture;
pub mod folded;
mod format;
mod frames;
mod gather;
mod merge;
mod model;
pub mod otlp;
pub mod pprof;
mod read;
pub mod speedscope;
pub mod svg;
mod table;
mod tree;
mod xml;

pub use format::Format;
pub use gather::{GatherSettings, Gatherer};
pub use model::{
    Amount, Attribute, Bounds, Capture, FrameKind, FrameView, Function, Line, Lines, Location, Loss, Mapping,
    Marker, MarkerKind, OTHER, Process, ProcessIdentity, ProcessRef, Processes, Profile, Quantity, SampleKey,
    Samples, Script, Stack, Start, Summary, Tables, Texts, Thread, UNKNOWN, Value, ValueType,
};
pub use read::{ReadError, read};
pub use table::{Id, Table};
