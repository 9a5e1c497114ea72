//! Reads files of others. The agent often runs as root, and those who run a program choose the file at its path: one of
//! a file system that never answers, a device, an entry of `/proc` or sysfs whose reading has effects, somebody else's
//! secret.
//!
//! ```text
//! Files::open(place, is_wanted) --find--> [reader: O_PATH, statx] --Found--> is_wanted? --open--> [reader: kind of
//! file system, open]
//!             Opened: Read + Seek <--bytes, within the deadline-- [reader: pread], or the file itself where it is on
//!             this machine's own disks or in its memory
//! ```
//!
//! A file system may keep a process that asks it from going on, and from being killed, for as long as it likes (a FUSE
//! server that has taken a request does). So all requests that may go to such a file system happen in a reader, a small
//! process of its own: the agent's binary, started again by [`serve_if_asked`]. A reader that does not answer in time
//! is killed and left, the file system that it asked is skipped for a while, and another reader takes its place;
//! [`Quarantine`] bounds how many are left. The agent itself waits for no file system but those of its own disks, not
//! even when it ends. docs/decisions/foreign-files.md has the alternatives that were not chosen.

mod asker;
mod files;
mod kept;
mod kind;
mod message;
mod mounts;
mod opened;
mod origin;
mod place;
mod process;
mod quarantine;
mod refusal;
mod retries;
mod serve;
mod socket;

pub use files::{Files, ProcessMemory};
pub use kept::Kept;
pub use message::Found;
pub use mounts::{Mount, Mounts};
pub use opened::{Bytes, LocalFile, Opened};
pub use place::FilePlace;
pub use process::serve_if_asked;
pub use quarantine::{Quarantine, Source};
pub use refusal::Refusal;
pub use retries::Retries;
pub use serve::IdentifyBy;
