//! Contents of `/proc`, for all who read it: bytes to facts, the files of processes, and the clocks of the kernel.
//!
//! [`ProcSource`] reads what `/proc` shows of a process, and has the files found through it opened. The other modules
//! ([`text`], [`cgroup`], [`kernel`], [`read_facts`] of ELF files) parse any bytes without panicking.

pub mod cgroup;
mod cgroup_path;
pub mod clock;
mod elf;
mod error;
mod host;
mod identity;
pub mod kernel;
mod maps;
mod memory;
mod named_mapping;
mod open;
pub mod own;
mod parents;
mod process_context;
mod recent;
mod source;
mod stat;
pub mod text;
mod vdso;

pub use cgroup_path::{Container, Residence};
pub use elf::read_facts;
pub use error::{ParseError, ProcError};
pub use host::{HostFacts, read_host_file};
pub use identity::{identity_of, kernel_device};
pub use kernel::ListSymbols;
pub use maps::{ListedMapping, mappings};
pub use memory::MemoryGroup;
pub use named_mapping::{NamedMapping, executable_mapping};
pub use parents::{parents, with_descendants};
pub use process_context::{ContextLook, PublishedContext};
pub use source::{Identify, ProcSource, Snapshot};
pub use stat::{children_cpu_time, parent};
pub use vdso::own_vdso;
