//! Mappings of code, and the three kinds of address.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::{FileState, ProcessKey};

/// An address in a process (or in the kernel), as the CPU saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pc(pub u64);

/// A position in a file, bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOffset(pub u64);

/// An address as an ELF file's own headers and symbols use it (`p_vaddr`, `st_value`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElfAddress(pub u64);

/// A GNU build ID: 1 to 20 bytes. Source: `NT_GNU_BUILD_ID`, as a process has it in memory or as the file has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BuildId {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl BuildId {
    /// The longest build ID the kernel reports.
    pub const MAX: usize = 20;

    /// A build ID of these bytes; `None` if there are none or more than [`BuildId::MAX`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok().filter(|&len| len > 0)?;
        let mut padded = [0; Self::MAX];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { bytes: padded, len })
    }

    /// The bytes of the build ID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for BuildId {
    /// Lower-case hex, as `file` and `readelf -n` print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

/// One loadable segment of an ELF file (`PT_LOAD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Start of the segment in the file (`p_offset`).
    pub file_offset: FileOffset,
    /// Bytes that the segment takes in the file (`p_filesz`).
    pub size: u64,
    /// Start of the segment in memory, before relocation (`p_vaddr`).
    pub address: ElfAddress,
}

/// Facts of a file that only reading it can find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// First 16 bytes of SHA-256(first 4096 bytes, last 4096 bytes, length as u64 big-endian):
    /// OTLP's `process.executable.build_id.htlhash`.
    pub htlhash: [u8; 16],
    /// Build ID from the file's notes.
    pub build_id: Option<BuildId>,
    /// Go build ID from the file's notes.
    pub go_build_id: Option<Box<str>>,
    /// Loadable segments by file offset; empty if the file is no ELF file.
    pub segments: Box<[Segment]>,
}

/// The facts that identify a file's content in the kernel, whatever its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Device, as in `super_block::s_dev` (20 bits of minor).
    pub device: u32,
    /// Inode number on that device.
    pub inode: u64,
    /// A number that differs once an inode number is used again, on file systems that count. Source:
    /// `inode::i_generation`.
    pub generation: u32,
    /// Last change of the content, nanoseconds since 1970: differs once a file has been written in place.
    pub modified: u64,
    /// The size in bytes; on btrfs the inode's address in memory, since its subvolumes repeat all the rest.
    pub extra: u64,
}

/// A file that processes have mapped executable. Shared by all its mappings.
#[derive(Debug)]
pub struct MappedFile {
    /// Path up to the root of the mount namespace that holds the file, as
    /// [`Executable::path`](crate::Executable::path).
    pub path: Box<Path>,
    /// The path as the process itself sees it, if its root differs (chroot); else `None`.
    pub own_path: Option<Box<Path>>,
    /// The facts by which the kernel knows the file.
    pub identity: FileIdentity,
    /// Bytes in the file when it was first met.
    pub size: u64,
    /// Whether the path still named the file when it was first met.
    pub state: FileState,
    /// True if the path was longer than the kernel side can hold; `path` is then its tail.
    pub truncated: bool,
    /// Build ID, read from the memory of the process in which the file was first met; `None` if that page was not in
    /// memory.
    pub build_id: Option<BuildId>,
    /// Facts found by reading the file; empty until it has been read, and for ever if it was gone.
    pub facts: OnceLock<FileFacts>,
}

impl MappedFile {
    /// A linked file of which nothing is known but its path.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.into(),
            own_path: None,
            identity: FileIdentity::default(),
            size: 0,
            state: FileState::Linked,
            truncated: false,
            build_id: None,
            facts: OnceLock::new(),
        }
    }

    /// Build ID from memory, or else from the file.
    #[must_use]
    pub fn any_build_id(&self) -> Option<BuildId> {
        self.build_id.or_else(|| self.facts.get()?.build_id)
    }

    /// The ELF address of a byte of the file.
    ///
    /// `None` if the file has not been read or no segment holds the byte.
    #[must_use]
    pub fn elf_address(&self, at: FileOffset) -> Option<ElfAddress> {
        self.facts.get()?.segments.iter().find_map(|segment| {
            let into = at.0.checked_sub(segment.file_offset.0)?;
            (into < segment.size).then(|| ElfAddress(segment.address.0.wrapping_add(into)))
        })
    }
}

/// The kernel, one of its modules, a BPF program, or code that leads to one, as it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelImage {
    /// [`KERNEL`], or the name of a module, of a BPF program, or of a trampoline or dispatcher that leads to one, in
    /// brackets, such as `[ext4]`, `[bpf_prog_6deef7357e7b4530_sd_fw_egress]`, `[bpf_trampoline_6442466132]`.
    pub name: Box<str>,
    /// The build ID, by the notes that the kernel shows of itself and of its modules; `None` if there is none.
    pub build_id: Option<BuildId>,
}

/// Name of the kernel itself.
pub const KERNEL: &str = "[kernel]";

/// The memory or file behind a mapping.
#[derive(Clone, Debug)]
pub enum Backing {
    /// A file.
    File(Arc<MappedFile>),
    /// The kernel itself, one of its modules, a BPF program, or a trampoline or dispatcher that leads to one. It has no
    /// file that could be read, so file offsets are bytes from the first address.
    Kernel(Arc<KernelImage>),
    /// Memory without a file or a name, such as that of a compiler at run time, and the process that mapped it: its
    /// children inherit the mapping.
    Anonymous(ProcessKey),
    /// Memory with a name of the kernel's in place of a file: `[vdso]`, `[heap]`, ...
    Special(Arc<str>),
}

/// Name of the code that the kernel maps into each process, as the kernel has it.
pub const VDSO: &str = "[vdso]";

/// Name of memory without a file or a name, as perf has it.
pub const ANONYMOUS: &str = "//anon";

impl Backing {
    /// True if kernel code is mapped.
    #[must_use]
    pub const fn is_kernel(&self) -> bool {
        matches!(self, Self::Kernel(_))
    }

    /// The name of the memory or file that is mapped: the path of a file, else a name of the kernel's or of perf's.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::File(file) => file.path.to_string_lossy(),
            Self::Kernel(image) => Cow::Borrowed(&image.name),
            Self::Special(name) => Cow::Borrowed(name),
            Self::Anonymous(_) => Cow::Borrowed(ANONYMOUS),
        }
    }
}

/// A range of a process's addresses that holds code.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// First address.
    pub start: Pc,
    /// First address after the range.
    pub end: Pc,
    /// Position of `start` in the file; 0 in the kernel, and meaningless without a file.
    pub file_offset: FileOffset,
    /// The memory or file that is mapped.
    pub backing: Backing,
}

impl Mapping {
    /// True if the range holds `pc`.
    #[must_use]
    pub fn contains(&self, pc: Pc) -> bool {
        self.start <= pc && pc < self.end
    }

    /// Position in the backing file of an address in this range.
    #[must_use]
    pub fn offset_of(&self, pc: Pc) -> FileOffset {
        FileOffset(pc.0.wrapping_sub(self.start.0).wrapping_add(self.file_offset.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_prints_as_hex_and_refuses_impossible_lengths() {
        assert_eq!(BuildId::new(&[0x0a, 0xff]).unwrap().to_string(), "0aff");
        assert_eq!(BuildId::new(&[]), None);
        assert_eq!(BuildId::new(&[1; 21]), None);
        assert_eq!(BuildId::new(&[7; 20]).unwrap().as_bytes(), &[7; 20]);
    }

    #[test]
    fn an_elf_address_follows_the_segment_that_holds_the_offset() {
        let file = MappedFile::at(Path::new("/a"));
        assert_eq!(file.elf_address(FileOffset(0x1010)), None, "not read yet");
        let segment =
            Segment { file_offset: FileOffset(0x1000), size: 0x100, address: ElfAddress(0x40_2000) };
        file.facts.set(FileFacts { segments: [segment].into(), ..FileFacts::default() }).unwrap();
        assert_eq!(file.elf_address(FileOffset(0x1010)), Some(ElfAddress(0x40_2010)));
        assert_eq!(file.elf_address(FileOffset(0x1100)), None, "first byte after the segment");
        assert_eq!(file.elf_address(FileOffset(0xfff)), None, "last byte before it");
    }
}
