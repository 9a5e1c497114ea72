//! The model of a profile: tables of code and tasks, and samples that refer to them.

mod bounds;
mod code;
mod marker;
mod process;
mod profile;
mod quantity;
mod sample;
mod stack;
mod tables;
mod text;
mod value;
mod view;

pub use bounds::Bounds;
pub use code::{FrameKind, Function, Line, Lines, Location, Mapping};
pub use marker::{Marker, MarkerKind};
pub use process::{Process, ProcessIdentity, ProcessRef, Processes, Script, Start, Thread};
pub use profile::{Loss, Profile, Summary};
pub use quantity::Quantity;
pub use sample::{Amount, Capture, SampleKey, Samples, ValueType};
pub use stack::Stack;
pub use tables::Tables;
pub use text::Texts;
pub use value::{Attribute, Value};
pub use view::{FrameView, OTHER, UNKNOWN};
