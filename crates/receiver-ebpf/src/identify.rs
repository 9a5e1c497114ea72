//! The identification of files: whether an open file is the one that a sample was in, by the identity that the kernel
//! knows.

use std::fmt;
use std::fs::File;
use std::thread;
use std::time::Duration;

use aya::programs::{ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun};
use aya::{Btf, Ebpf, EbpfLoader};
use pdata::FileIdentity;
use procfs::Identify;

use crate::abi;
use crate::error::{StartError, attach};
use crate::sys::Page;
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
        let same = self.compare(opened, identity);
        if same.is_none() {
            crate::metrics::unverified_file();
        }
        same
    }

    fn compare(&self, opened: &File, identity: FileIdentity) -> Option<bool> {
        let page = Page::map(opened).ok()?;
        for tries in 0..TRIES {
            match self.ask(&page, identity) {
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

    fn ask(&self, page: &Page, identity: FileIdentity) -> Result<u32, ProgramError> {
        let Some(Ok(program)) = self.ebpf.program(PROGRAM).map(<&RawTracePoint>::try_from) else {
            return Err(ProgramError::NotLoaded);
        };
        let FileIdentity { device, inode, generation, modified, extra } = identity;
        let mut options = RawTracePointRunOptions::new();
        // In the order of `enum identify_argument`.
        let arguments = [page.address(), inode, modified, extra, u64::from(device), u64::from(generation)];
        options.args.iter_mut().zip(arguments).for_each(|(slot, argument)| *slot = argument);
        Ok(program.test_run(options)?.return_value)
    }
}

impl Identify for Identifier {
    fn is_file(&self, opened: &File, identity: FileIdentity) -> Option<bool> {
        self.is(opened, identity)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identifier").finish_non_exhaustive()
    }
}
