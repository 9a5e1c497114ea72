//! Mirror of `ebpf/include/abi.h`, which has the meaning of each field.

use pdata::{FileIdentity, StackEnd};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const RECORD_SAMPLE: u32 = 1;
pub(crate) const RECORD_SEEN: u32 = 2;
pub(crate) const RECORD_EXEC: u32 = 3;
pub(crate) const RECORD_FORK: u32 = 4;
pub(crate) const RECORD_EXIT: u32 = 5;
pub(crate) const RECORD_FREED: u32 = 6;
pub(crate) const RECORD_RENAME: u32 = 7;
pub(crate) const RECORD_FILE: u32 = 8;
pub(crate) const RECORD_CGROUP: u32 = 9;

pub(crate) const FLAG_KERNEL_THREAD: u32 = 1 << 0;
pub(crate) const FLAG_IN_EXECVE: u32 = 1 << 1;
pub(crate) const FLAG_PATH_TRUNCATED: u32 = 1 << 2;
pub(crate) const FLAG_NO_PARENT_DIRECTORY: u32 = 1 << 3;
pub(crate) const FLAG_NAME_GONE: u32 = 1 << 4;
pub(crate) const FLAG_SOFTIRQ: u32 = 1 << 5;
pub(crate) const FLAG_ENVIRONMENT_READ: u32 = 1 << 6;
pub(crate) const FLAG_RAW_STACK: u32 = 1 << 7;

/// Low bits of a user frame's word that are its address; the bits above are one more than its mapping's index.
pub(crate) const FRAME_ADDRESS_BITS: u32 = 56;
/// The bit of a user frame's word that is set if the frame was interrupted.
pub(crate) const FRAME_INTERRUPTED_BIT: u32 = 63;
/// User frames that a sample can hold.
pub(crate) const MAX_USER_FRAMES: u32 = 1024;

pub(crate) const MAPPED_UNANNOUNCED: u64 = 0;
pub(crate) const MAPPED_ANONYMOUS: u64 = 1;
pub(crate) const MAPPED_VDSO: u64 = 2;

pub(crate) const LEGACY_PIDS: u32 = 1;
pub(crate) const LEGACY_MEMORY: u32 = 2;
pub(crate) const LEGACY_CPU: u32 = 4;

pub(crate) const IDENTIFY_SAME: u32 = 1;
pub(crate) const IDENTIFY_OTHER: u32 = 2;

/// Bytes of the text in which the program `symbol_at` answers.
pub(crate) const SYMBOL_TEXT: usize = 128;

/// The header of every record.
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

/// The fixed part of a sample, after its header; frames and mappings come after it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct SampleBody {
    pub cgroup: u32,
    pub user: u32,
    pub period_ns: u64,
    pub kernel_frames: u16,
    pub user_frames: u16,
    pub mappings: u16,
    pub user_stack_end: u16,
}

/// The state of a walk that the kernel could not finish; the stack's bytes come after it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RawStackBody {
    pub pc: u64,
    pub sp: u64,
    pub fp: u64,
    pub start: u64,
    pub bytes: u32,
    pub flags: u32,
    pub registers: [u64; unwind::REGISTERS],
}

pub(crate) const RAW_INTERRUPTED: u32 = 1 << 0;
pub(crate) const RAW_KEPT_KNOWN: u32 = 1 << 1;
pub(crate) const RAW_GUESSED: u32 = 1 << 2;
pub(crate) const RAW_LIST_CUT: u32 = 1 << 3;
/// The most bytes of a stack's copy: one that is shorter by a page ended at memory that could not be read.
pub(crate) const RAW_STACK_BYTES: u32 = 16_384;
/// The most mappings that a sample with a copied stack names, beside those of its frames.
pub(crate) const LISTED_MAPPINGS: u32 = 64;

/// An executable mapping that frames of a sample lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct SampleMapping {
    pub start: u64,
    pub end: u64,
    pub file_offset: u64,
    pub file: u64,
}

/// The name of a file in the kernel: its identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct FileKey {
    pub inode: u64,
    pub mtime_ns: u64,
    pub extra: u64,
    pub device: u32,
    pub generation: u32,
    pub dentry: u64,
    pub mount: u64,
    pub name: u64,
    pub root: u64,
}

impl FileKey {
    pub(crate) fn identity(&self) -> FileIdentity {
        FileIdentity {
            device: self.device,
            inode: self.inode,
            generation: self.generation,
            modified: self.mtime_ns,
            extra: self.extra,
        }
    }
}

/// The fixed part of a file's announcement, after its header; the file's path comes after it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct FileBody {
    pub id: u64,
    pub key: FileKey,
    pub size: u64,
    pub link_count: u32,
    pub path_bytes: u16,
    pub own_path_bytes: u16,
    pub build_id: [u8; 20],
    pub build_id_bytes: u32,
}

/// The names of a thread's control groups in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CgroupKey {
    pub unified: u64,
    pub legacy: u64,
    pub controller: u64,
}

/// The fixed part of an announcement of control groups, after its header; the groups' names come after it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CgroupBody {
    pub key: CgroupKey,
    pub number: u32,
    pub unified_bytes: u16,
    pub legacy_bytes: u16,
}

/// The place of a process among others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RelativesRecord {
    pub parent_start_boottime_ns: u64,
    pub parent_pid: u32,
    pub session: u32,
    pub process_group: u32,
    pub own_pid: u32,
    pub pid_namespace: u32,
    pub network_namespace: u32,
    pub group_id: u32,
    pub has_terminal: u32,
}

/// The fixed part of an image, after its header; path, filename, interpreter, variables and arguments come after it.
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
    pub environment_bytes: u16,
    pub arguments_bytes: u16,
    pub relatives: RelativesRecord,
}

/// The rest of a fork's record, after the child's header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ForkBody {
    pub parent_start_boottime_ns: u64,
    pub parent_pid: u32,
    pub parent_exec_count: u32,
    pub relatives: RelativesRecord,
}

/// One process in a census.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CensusRecord {
    pub pid: u32,
    pub exited: u32,
    pub start_boottime_ns: u64,
}

/// The most variables that an exec record can be asked to have.
pub(crate) const WANTED_VARIABLES: usize = 16;

/// Variables of the environment that exec records are to have, by their first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct WantedEnvironment {
    pub count: u32,
    pub argument_bytes: u32,
    pub heads: [u64; WANTED_VARIABLES],
    pub masks: [u64; WANTED_VARIABLES],
}

/// Bits of file offset within a page of rows.
pub(crate) const ROW_PAGE_SHIFT: u32 = 16;
pub(crate) const CHUNK_ROWS: u32 = 65_536;
pub(crate) const MAX_CHUNKS: usize = 1024;
pub(crate) const MAX_ROW_PAGES: u32 = 131_072;
pub(crate) const MAX_ROW_FILES: usize = 8192;
pub(crate) const MAX_RULES: usize = 16_384;
/// Units of the time at which walks use rows, as a power of two of nanoseconds.
pub(crate) const ROW_TIME_SHIFT: u32 = 30;
/// The only field of the vDSO's identity that is not 0.
pub(crate) const VDSO_GENERATION: u32 = 1;
/// States of a page, in the highest 16 bits of its place.
pub(crate) const PAGE_ASKED: u64 = 1;
pub(crate) const PAGE_BUILT: u64 = 2;

/// The identity of a file's content: the first fields of [`FileKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct FileIdentityKey {
    pub inode: u64,
    pub mtime_ns: u64,
    pub extra: u64,
    pub device: u32,
    pub generation: u32,
}

impl FileIdentityKey {
    pub(crate) fn of(file: FileIdentity) -> Self {
        let FileIdentity { device, inode, generation, modified, extra } = file;
        Self { inode, mtime_ns: modified, extra, device, generation }
    }
}

/// The pages of a file in the directory, and the time at which a walk last met the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct RowFile {
    pub first_page: u32,
    pub pages: u32,
    pub used: u32,
    pub reserved: u32,
}

/// The place of a page's rows, and the time at which a walk last used them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[allow(dead_code, reason = "its fields are read and written as words of shared memory")]
pub(crate) struct RowPage {
    pub place: u64,
    pub used: u32,
    pub reserved: u32,
}

/// Indices of `struct cpu_counters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Counter {
    TicksIdle = 0,
    TicksBusy = 1,
    SampleRingFull = 2,
    SampleNoScratch = 3,
    LifecycleRingFull = 4,
    LifecycleNoScratch = 5,
    FileOverBudget = 6,
    TicksMissed = 7,
    FramesUnmapped = 8,
    FramesNotExecutable = 9,
    FramesOverMappings = 10,
    RowAskRingFull = 11,
    CgroupOverBudget = 12,
    RawOverBudget = 13,
    TicksOutside = 14,
}

/// The first of the counters that count user stacks by their end, in the order of [`STACK_ENDS`].
pub(crate) const COUNTER_STACKS: usize = 15;
/// Counters of a CPU.
const COUNTERS: usize = COUNTER_STACKS + STACK_ENDS.len();
/// The counters of one CPU.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
#[allow(dead_code, reason = "its fields are read as words of shared memory")]
pub(crate) struct CpuCounters {
    pub count: [u64; COUNTERS],
}

/// The ends of stacks by `enum stack_end`: the name of each in the metric, and its meaning downstream.
pub(crate) const STACK_ENDS: [(&str, StackEnd); 11] = [
    ("frame_pointers", StackEnd::NotReported),
    ("root", StackEnd::Root),
    ("depth_limit", StackEnd::DepthLimit),
    ("file_pending", StackEnd::Pending),
    ("page_pending", StackEnd::Pending),
    ("no_unwind_info", StackEnd::NoUnwindInfo),
    ("unsupported", StackEnd::NoUnwindInfo),
    ("bad_frame", StackEnd::BadFrame),
    ("not_mapped", StackEnd::BadFrame),
    ("unreadable", StackEnd::Unreadable),
    ("mapping_limit", StackEnd::DepthLimit),
];

/// Numbers of ends of stacks in `enum stack_end`.
pub(crate) const END_ROOT: u16 = 1;
pub(crate) const END_DEPTH_LIMIT: u16 = 2;
/// The end of a stack that a file was in the way of whose tables had not been read.
pub(crate) const END_FILE_PENDING: u16 = 3;
pub(crate) const END_PAGE_PENDING: u16 = 4;
pub(crate) const END_NO_UNWIND_INFO: u16 = 5;
pub(crate) const END_UNSUPPORTED: u16 = 6;
pub(crate) const END_BAD_FRAME: u16 = 7;
pub(crate) const END_NOT_MAPPED: u16 = 8;
pub(crate) const END_UNREADABLE: u16 = 9;
pub(crate) const END_MAPPING_LIMIT: u16 = 10;

// Sizes as in the _Static_asserts in abi.h, less the header.
const _: () = assert!(size_of::<RecordHeader>() == 56);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<SampleBody>() == 80);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<ImageBody>() == 128);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<ForkBody>() == 112);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<FileBody>() == 168);
const _: () = assert!(size_of::<RawStackBody>() == 296);
const _: () = assert!(size_of::<SampleMapping>() == 32);
const _: () = assert!(size_of::<FileKey>() == 64);
const _: () = assert!(size_of::<RecordHeader>() + size_of::<CgroupBody>() == 88);
const _: () = assert!(size_of::<CgroupKey>() == 24);
const _: () = assert!(size_of::<RelativesRecord>() == 40);
const _: () = assert!(size_of::<CensusRecord>() == 16);
const _: () = assert!(size_of::<WantedEnvironment>() == 264);
const _: () = assert!(size_of::<FileIdentityKey>() == 32);
const _: () = assert!(size_of::<RowFile>() == 16);
const _: () = assert!(size_of::<RowPage>() == 16);
const _: () = assert!(size_of::<unwind::Rule>() == 16 && unwind::RuleTable::CAPACITY == MAX_RULES);
const _: () = assert!(unwind::PageRows::SHIFT == ROW_PAGE_SHIFT);

#[cfg(test)]
mod tests;
