//! Mirror of `ebpf/include/abi.h`, which says what each field means.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const RECORD_SAMPLE: u32 = 1;
pub(crate) const RECORD_SEEN: u32 = 2;
pub(crate) const RECORD_EXEC: u32 = 3;
pub(crate) const RECORD_FORK: u32 = 4;
pub(crate) const RECORD_EXIT: u32 = 5;
pub(crate) const RECORD_FREED: u32 = 6;
pub(crate) const RECORD_RENAME: u32 = 7;

pub(crate) const FLAG_KERNEL_THREAD: u32 = 1 << 0;
pub(crate) const FLAG_IN_EXECVE: u32 = 1 << 1;
pub(crate) const FLAG_PATH_TRUNCATED: u32 = 1 << 2;
pub(crate) const FLAG_NO_PARENT_DIRECTORY: u32 = 1 << 3;
pub(crate) const FLAG_NAME_GONE: u32 = 1 << 4;

/// First in every record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RecordHeader {
    pub kind: u32,
    pub cpu: u32,
    pub ktime_ns: u64,
    pub pid: u32,
    pub tid: u32,
    pub start_boottime_ns: u64,
    pub exec_count: u32,
    pub flags: u32,
    pub comm: [u8; 16],
}

/// What follows the header of a sample; the frames come after it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct SampleBody {
    pub cgroup_id: u64,
    pub period_ns: u64,
    pub kernel_frames: u16,
    pub user_frames: u16,
    pub reserved: u32,
}

/// What follows the header of an image; path, filename and interpreter come after it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ImageBody {
    pub inode: u64,
    pub device: u32,
    pub link_count: u32,
    pub mount_namespace: u32,
    pub path_bytes: u16,
    pub own_path_bytes: u16,
    pub filename_bytes: u16,
    pub interpreter_bytes: u16,
    pub reserved: u32,
}

/// What follows the child's header of a fork.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ForkBody {
    pub parent_start_boottime_ns: u64,
    pub parent_pid: u32,
    pub parent_exec_count: u32,
}

/// One executable mapping in the snapshot; the name comes after it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct MappingHeader {
    pub ktime_ns: u64,
    pub pid: u32,
    pub name_bytes: u32,
    pub start: u64,
    pub end: u64,
    pub file_offset: u64,
}

/// One process in a census.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CensusRecord {
    pub pid: u32,
    pub exited: u32,
    pub start_boottime_ns: u64,
}

/// Slots of the per-CPU array `counters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Counter {
    TicksIdle = 0,
    TicksBusy = 1,
    SampleRingFull = 2,
    SampleNoScratch = 3,
    LifecycleRingFull = 4,
    LifecycleNoScratch = 5,
    RenameOverBudget = 6,
    TicksMissed = 7,
}

// As the _Static_asserts in abi.h, less the header.
const _: () = assert!(size_of::<RecordHeader>() == 56);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<SampleBody>() == 80);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<ImageBody>() == 88);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<ForkBody>() == 72);
const _: () = assert!(size_of::<MappingHeader>() == 40);
const _: () = assert!(size_of::<CensusRecord>() == 16);
