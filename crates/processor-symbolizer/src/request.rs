//! Requests of the stage to the thread that looks names up, and its answers.

use std::sync::Arc;

use pdata::{FileIdentity, Lines, MappedFile, Pc, ProcessKey};

use crate::fair::User;

/// The space that an address to be named is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    /// A file: the address is an offset in it.
    File(FileIdentity),
    /// The kernel: the address is as it was on the CPU.
    Kernel,
    /// The code that the kernel gives each process: the address is an offset in it.
    Vdso,
    /// Functions that a process compiles at run time: the address is as it was on the CPU.
    Jit(ProcessKey),
}

/// Addresses to be named, all in one space.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) space: Space,
    pub(crate) target: Target,
    pub(crate) addresses: Vec<u64>,
}

impl Lookup {
    /// The user whose program the lookup is for; `None` for spaces that all users share.
    pub(crate) fn user(&self) -> User {
        match self.target {
            Target::File { user, .. } | Target::Jit { user, .. } => user,
            Target::Kernel | Target::Vdso => None,
        }
    }
}

/// The source of the names of a space.
#[derive(Debug)]
pub(crate) enum Target {
    /// A file that a process has mapped.
    File {
        file: Arc<MappedFile>,
        /// The process in whose view the file is opened.
        process: ProcessKey,
        /// First address of the mapping and the one after it.
        range: (Pc, Pc),
        /// The user who runs the process.
        user: User,
    },
    /// The running kernel.
    Kernel,
    /// The vDSO, code that the kernel gives each process.
    Vdso,
    /// Functions that a process compiles at run time.
    Jit {
        process: ProcessKey,
        /// The user who runs the process.
        user: User,
    },
}

/// Lookups of one batch, answered as one.
#[derive(Debug)]
pub(crate) struct NameRequest {
    pub(crate) ticket: u64,
    pub(crate) lookups: Vec<Lookup>,
}

/// Names that have been found.
#[derive(Debug)]
pub(crate) struct NameAnswer {
    /// The last request that has been answered whole, with all before it.
    pub(crate) ticket: u64,
    pub(crate) found: Vec<Found>,
}

/// Names of addresses in one space.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) space: Space,
    /// True if names that were found in the space before hold no longer.
    pub(crate) replaced: bool,
    /// True if addresses of the space that had no name may have one by now.
    pub(crate) gained: bool,
    /// True if more will be found for these addresses: their lines, and the functions that were inlined there.
    pub(crate) has_more: bool,
    pub(crate) names: Result<NamesByAddress, Unnamed>,
}

impl Found {
    /// Names of addresses in a space, of which nothing else has changed.
    pub(crate) fn of(space: Space, names: Result<NamesByAddress, Unnamed>) -> Self {
        Self { space, replaced: false, gained: false, has_more: false, names }
    }
}

/// The name of an address, if it has one.
pub(crate) type Name = Result<Arc<Lines>, Unnamed>;

/// Addresses with their names.
pub(crate) type NamesByAddress = Vec<(u64, Name)>;

/// The reason why a frame has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Unnamed {
    /// No symbol of the file covers the address.
    Stripped,
    /// The file was gone before it was opened, with the process that had it mapped; or its path names another by now.
    Gone,
    /// The file could not be read, or does not have its format.
    Unreadable,
    /// The file was held open, has made room for others, and is gone.
    Evicted,
    /// The name was not there in time.
    Late,
    /// No mapping is known for the address.
    Unmapped,
    /// The code is in no file, such as code that is compiled at run time.
    NoFile,
    /// The kernel does not show the addresses of its functions.
    KernelHidden,
    /// The list of the kernel's functions is that of another kernel, or of this one at another place.
    KernelOther,
}

impl Unnamed {
    pub(crate) const ALL: [Self; 9] = [
        Self::Stripped,
        Self::Gone,
        Self::Unreadable,
        Self::Evicted,
        Self::Late,
        Self::Unmapped,
        Self::NoFile,
        Self::KernelHidden,
        Self::KernelOther,
    ];

    /// The name of the reason, as label of a metric.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stripped => "stripped",
            Self::Gone => "gone",
            Self::Unreadable => "unreadable",
            Self::Evicted => "evicted",
            Self::Late => "late",
            Self::Unmapped => "unmapped",
            Self::NoFile => "no_file",
            Self::KernelHidden => "kernel_hidden",
            Self::KernelOther => "kernel_other",
        }
    }
}
