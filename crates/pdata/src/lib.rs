//! The data that flows through the pipeline: samples, process lifecycle, loss, and the
//! watermark that orders them.
//!
//! Plain values only: no I/O, no async, no unsafe. Every component depends on this crate and on
//! no other component. Start reading at [`Batch`].

mod attribute;
mod batch;
mod context;
mod events;
mod executable;
mod footprint;
mod frame;
mod image;
mod loss;
mod mapping;
mod measure;
pub mod names;
mod process;
pub mod rfc3339;
mod sample;
mod time;
mod watermark;

pub use attribute::{Attribute, AttributeValue, Attributes, Resource, ResourceAttribute};
pub use batch::Batch;
pub use context::{Cgroup, CgroupId, Context, ContextKey, Uid};
pub use events::{Event, Events};
pub use executable::{Executable, FileState};
pub use frame::{AddressKind, Code, Frame, Function, Line, Lines, Runtime, Stack, StackEnd};
pub use image::{Image, ImageKind, Parent, Script};
pub use loss::{Loss, LossReason};
pub use mapping::{
    ANONYMOUS, Backing, BuildId, ElfAddress, FileFacts, FileIdentity, FileOffset, KERNEL, KernelImage,
    MappedFile, Mapping, Pc, Segment, VDSO,
};
pub use measure::{Measure, OffCpuReason};
pub use process::{
    Census, CensusEntry, Comm, ExecCount, ImageKey, Pid, ProcessEvent, ProcessKey, ProcessTransition,
    Relatives, Tid,
};
pub use sample::{Running, Sample};
pub use time::{BootTime, ClockOffset, KTime, UnixNanos};
pub use watermark::Watermark;
