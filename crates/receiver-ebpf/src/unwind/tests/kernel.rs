//! A kernel whose maps are memory of this process.

use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;

use foldhash::HashMap;
use pdata::FileIdentity;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::abi::{FileIdentityKey, RowFile};
use crate::memory::SharedMemory;
use crate::unwind::kernel::{Kernel, KernelError};
use crate::unwind::tables::CHUNK_BYTES;

/// Two mappings of the same memory: as the agent has it, and as walks see it.
pub(super) fn memory(bytes: usize) -> [SharedMemory; 2] {
    let file = File::from(memfd_create("rows", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes as u64).unwrap();
    [(); 2].map(|()| SharedMemory::map(&file, bytes).unwrap())
}

/// The maps, as walks see them.
#[derive(Default)]
pub(super) struct Maps {
    pub(super) files: HashMap<FileIdentity, RowFile>,
    pub(super) chunks: HashMap<u32, SharedMemory>,
}

/// A kernel whose maps are memory of this process.
#[derive(Clone, Default)]
pub(super) struct FakeKernel(pub(super) Rc<RefCell<Maps>>);

fn identity_of(key: &FileIdentityKey) -> FileIdentity {
    let FileIdentityKey { inode, mtime_ns, extra, device, generation } = *key;
    FileIdentity { device, inode, generation, modified: mtime_ns, extra }
}

impl Kernel for FakeKernel {
    fn add_chunk(&mut self, index: u32) -> Result<SharedMemory, KernelError> {
        let [ours, theirs] = memory(CHUNK_BYTES.try_into().unwrap());
        assert!(self.0.borrow_mut().chunks.insert(index, theirs).is_none(), "{index} is in use");
        Ok(ours)
    }

    fn remove_chunk(&mut self, index: u32) {
        self.0.borrow_mut().chunks.remove(&index).unwrap();
    }

    fn put_file(&mut self, file: &FileIdentityKey, rows: RowFile) -> Result<(), KernelError> {
        self.0.borrow_mut().files.insert(identity_of(file), rows);
        Ok(())
    }

    fn remove_file(&mut self, file: &FileIdentityKey) {
        self.0.borrow_mut().files.remove(&identity_of(file)).unwrap();
    }

    fn file_used(&self, file: &FileIdentityKey) -> Option<u32> {
        self.0.borrow().files.get(&identity_of(file)).map(|rows| rows.used)
    }

    fn wait_for_walks(&mut self) {}
}
