//! The identification of files: whether an open file is the one that a sample was in, by the identity that the kernel
//! knows.

use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::thread;
use std::time::Duration;

use aya::programs::RawTracePoint;
use aya::{Btf, Ebpf, EbpfLoader};
use foreignfile::Opened;
use pdata::FileIdentity;
use procfs::Identify;

use crate::abi;
use crate::error::{StartError, attach};
use crate::sys::{Page, run_program};
use crate::verifier;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/identify.bpf.o"));
const PROGRAM: &str = "identify_mapping";

/// The most questions to the kernel while other threads of this process change its mappings.
const TRIES: u32 = 200;
/// The number of those questions that are asked without a pause.
const TRIES_AT_ONCE: u32 = 20;
/// Time between the other questions.
const PAUSE: Duration = Duration::from_micros(50);

/// Compares open files with identities that samples have brought, by `ebpf/identify.bpf.c`. Needs no privilege once its
/// program is loaded.
pub struct Identifier {
    /// The loaded object: the program and nothing else.
    ebpf: Ebpf,
}

impl Identifier {
    /// Loads the program.
    pub(crate) fn load(btf: &Btf) -> Result<Self, StartError> {
        let load = |error| StartError::Load(Box::new(error));
        let mut ebpf = EbpfLoader::new().btf(Some(btf)).load(OBJECT).map_err(load)?;
        let program = ebpf.program_mut(PROGRAM).ok_or(StartError::Missing(PROGRAM))?;
        let program: &mut RawTracePoint = program.try_into().map_err(attach(PROGRAM))?;
        verifier::load(PROGRAM, || program.load())?;
        Ok(Self { ebpf })
    }

    /// True if `opened` is the file of `identity`: device, inode number, generation, time of the last change, and size
    /// (or what stands for it on btrfs), as the kernel has them inside.
    ///
    /// `None` if that could not be found out: the file cannot be mapped, or the kernel refuses.
    #[must_use]
    pub fn is(&self, opened: &File, identity: FileIdentity) -> Option<bool> {
        counted(identify(self.program()?, opened, numbers(identity)))
    }

    /// The same for a file that a reader has opened. If the file is not at hand, the reader maps it and asks.
    pub(crate) fn is_opened(&self, opened: &mut Opened<'_>, identity: FileIdentity) -> Option<bool> {
        if let Some(file) = opened.shared() {
            return self.is(file, identity);
        }
        let asked = opened.identify(self.program()?, numbers(identity));
        counted(asked.unwrap_or_else(|error| {
            tracing::debug!(%error, "No reader identifies a file.");
            None
        }))
    }

    fn program(&self) -> Option<BorrowedFd<'_>> {
        let program: &RawTracePoint = self.ebpf.program(PROGRAM)?.try_into().ok()?;
        Some(program.fd().ok()?.as_fd())
    }
}

impl Identify for Identifier {
    fn is_file(&self, opened: &File, identity: FileIdentity) -> Option<bool> {
        self.is(opened, identity)
    }

    fn is_opened(&self, opened: &mut Opened<'_>, identity: FileIdentity) -> Option<bool> {
        self.is_opened(opened, identity)
    }
}

/// An identity as numbers, in the order of `enum identify_argument` behind the address.
fn numbers(identity: FileIdentity) -> [u64; 5] {
    let FileIdentity { device, inode, generation, modified, extra } = identity;
    [inode, modified, extra, u64::from(device), u64::from(generation)]
}

/// Counts a file that is not known to be the wanted one.
fn counted(same: Option<bool>) -> Option<bool> {
    if same.is_none() {
        crate::metrics::unverified_file();
    }
    same
}

/// Maps a page of `opened` and asks `program`, which is `ebpf/identify.bpf.c`, whether that is the file of an identity
/// (in the order of `enum identify_argument`). Also runs in a reader, for a file whose server may never answer: see
/// [`foreignfile::IdentifyBy`].
///
/// `None` if that could not be found out: the file cannot be mapped, or the kernel refuses.
#[must_use]
pub fn identify(program: BorrowedFd<'_>, opened: &File, identity: [u64; 5]) -> Option<bool> {
    let page = Page::map(opened).ok()?;
    let [inode, modified, extra, device, generation] = identity;
    let arguments = [page.address(), inode, modified, extra, device, generation];
    for tries in 0..TRIES {
        match run_program(program, &arguments) {
            Ok(abi::IDENTIFY_SAME) => return Some(true),
            Ok(abi::IDENTIFY_OTHER) => return Some(false),
            // Another thread is changing this process's mappings.
            Ok(_unknown) if tries < TRIES_AT_ONCE => thread::yield_now(),
            Ok(_unknown) => thread::sleep(PAUSE),
            Err(error) => {
                tracing::debug!(%error, "The kernel does not identify a file.");
                return None;
            }
        }
    }
    None
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identifier").finish_non_exhaustive()
    }
}
