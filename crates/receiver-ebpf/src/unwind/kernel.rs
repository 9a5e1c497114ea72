//! The maps that walks read, as the tables fill them.

use std::error::Error;
use std::thread;
use std::time::Duration;

use aya::maps::{Array, ArrayOfMaps, HashMap, Map, MapData, MapError};
use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{self, FileIdentityKey, RowFile};
use crate::memory::SharedMemory;

/// `BPF_F_MMAPABLE` and the type of an array: uapi/linux/bpf.h.
const MMAPABLE: u32 = 1 << 10;
const ARRAY: u32 = 2;
/// The longest time that a walk may take, waited for if the kernel refuses to wait for those under way: it takes some
/// 100 us.
const LONGEST_WALK: Duration = Duration::from_secs(1);

/// The reason why the kernel refused a change of its maps.
pub(crate) type KernelError = Box<dyn Error + Send + Sync>;

/// The requests that the tables make of the kernel.
pub(crate) trait Kernel {
    /// Adds memory for [`abi::CHUNK_ROWS`] more rows, which walks find under `index`.
    fn add_chunk(&mut self, index: u32) -> Result<SharedMemory, KernelError>;
    /// Frees the memory of a chunk, if the kernel can; no walk refers to it any more.
    fn remove_chunk(&mut self, index: u32);
    /// Lets walks find a file.
    fn put_file(&mut self, file: &FileIdentityKey, rows: RowFile) -> Result<(), KernelError>;
    /// Takes a file away from walks that begin from now on.
    fn remove_file(&mut self, file: &FileIdentityKey);
    /// The time at which a walk last met the file; `None` if the file is not there.
    fn file_used(&self, file: &FileIdentityKey) -> Option<u32>;
    /// Returns when every walk is over that had begun by now.
    fn wait_for_walks(&mut self);
}

type ChunkValue = [u8; abi::CHUNK_ROWS as usize * size_of::<u32>()];
type RawFile = [u8; size_of::<RowFile>()];

/// The maps of the loaded object.
pub(crate) struct RowMaps {
    files: HashMap<MapData, [u8; size_of::<FileIdentityKey>()], RawFile>,
    chunks: ArrayOfMaps<MapData, Array<MapData, ChunkValue>>,
    /// The first chunk, which is never freed; it also stands in the slots of those that were: a slot cannot be emptied,
    /// and no page refers to it.
    filler: Option<Array<MapData, ChunkValue>>,
}

impl RowMaps {
    /// The maps of files and of chunks.
    pub(crate) fn new(files: Map, chunks: Map) -> Result<Self, MapError> {
        Ok(Self { files: HashMap::try_from(files)?, chunks: ArrayOfMaps::try_from(chunks)?, filler: None })
    }
}

/// Bytes of the rules.
pub(crate) const RULES_BYTES: usize = abi::MAX_RULES * size_of::<unwind::Rule>();
/// Bytes of the directory of pages.
pub(crate) const PAGES_BYTES: usize = abi::MAX_ROW_PAGES as usize * size_of::<abi::RowPage>();

impl Kernel for RowMaps {
    fn add_chunk(&mut self, index: u32) -> Result<SharedMemory, KernelError> {
        let (key, value) = (size_of::<u32>(), size_of::<ChunkValue>());
        let shape =
            aya_obj::Map::new_from_params(ARRAY, u32::try_from(key)?, u32::try_from(value)?, 1, MMAPABLE);
        let data = MapData::create(shape, "row_chunk", None)?;
        let memory = SharedMemory::map(&data.fd(), value)?;
        let map = Array::try_from(Map::Array(data))?;
        self.chunks.set(index, &map, 0)?;
        self.filler.get_or_insert(map);
        Ok(memory)
    }

    fn remove_chunk(&mut self, index: u32) {
        if let Some(filler) = &self.filler
            && let Err(error) = self.chunks.set(index, filler, 0)
        {
            tracing::debug!(%error, "A chunk of unwind rows could not be given back");
        }
    }

    fn put_file(&mut self, file: &FileIdentityKey, rows: RowFile) -> Result<(), KernelError> {
        let mut value = RawFile::default();
        value.copy_from_slice(rows.as_bytes());
        Ok(self.files.insert(bytes(file), value, 0)?)
    }

    fn remove_file(&mut self, file: &FileIdentityKey) {
        if let Err(error) = self.files.remove(&bytes(file)) {
            tracing::debug!(%error, "A file of unwind rows was not in the kernel's map");
        }
    }

    fn file_used(&self, file: &FileIdentityKey) -> Option<u32> {
        let value = self.files.get(&bytes(file), 0).ok()?;
        RowFile::read_from_bytes(&value).ok().map(|file| file.used)
    }

    fn wait_for_walks(&mut self) {
        // Setting an element waits for walks: see horizon.rs. As long as there is no chunk, there is nothing to wait
        // for: the first one is set before any page leads to it.
        if let Some(filler) = &self.filler
            && let Err(error) = self.chunks.set(0, filler, 0)
        {
            tracing::debug!(%error, "The kernel does not wait for walks of stacks");
            thread::sleep(LONGEST_WALK);
        }
    }
}

fn bytes(file: &FileIdentityKey) -> [u8; size_of::<FileIdentityKey>()] {
    let mut bytes = [0; size_of::<FileIdentityKey>()];
    bytes.copy_from_slice(file.as_bytes());
    bytes
}
