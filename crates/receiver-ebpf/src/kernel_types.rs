//! The kernel's own types, by which programs are fitted to it.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::{Btf, BtfError};

/// The lock that is held by the code that has read the types.
static HELD: Mutex<()> = Mutex::new(());

/// The kernel's types, for as long as they are needed. The types take 50 MiB: other readers wait, so that they are in
/// memory once.
#[derive(Debug)]
pub(crate) struct KernelTypes {
    types: Btf,
    _held: MutexGuard<'static, ()>,
}

impl KernelTypes {
    /// Reads `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// If there are none, or none that can be read.
    pub(crate) fn read() -> Result<Self, BtfError> {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Self { types: Btf::from_sys_fs()?, _held: held })
    }
}

impl Deref for KernelTypes {
    type Target = Btf;

    fn deref(&self) -> &Btf {
        &self.types
    }
}
