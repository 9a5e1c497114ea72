//! The identities by which the kernel knows files, computed from what stat(2) shows.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use pdata::FileIdentity;

/// A device number as the kernel has it inside: 12 bits of major and 20 of minor. `device` is as stat(2) shows it.
#[must_use]
pub fn kernel_device(device: u64) -> u32 {
    (rustix::fs::major(device) << 20) | (rustix::fs::minor(device) & 0xf_ffff)
}

/// Major and minor of a device number as the kernel has it inside.
pub(crate) fn device_numbers(device: u32) -> (u32, u32) {
    (device >> 20, device & 0xf_ffff)
}

/// The time of the last change as the kernel side of the receiver has it: nanoseconds since 1970. Arguments are as
/// stat(2) shows them.
pub(crate) fn kernel_time(seconds: i64, nanos: u32) -> u64 {
    u64::try_from(seconds).unwrap_or_default().wrapping_mul(1_000_000_000).wrapping_add(nanos.into())
}

/// The identity of a file as far as stat(2) shows it: without its generation, and on overlays and subvolumes with
/// another device than the kernel's.
#[must_use]
pub fn identity_of(file: &Metadata) -> FileIdentity {
    FileIdentity {
        device: kernel_device(file.dev()),
        inode: file.ino(),
        generation: 0,
        // Below a billion: the kernel's nanoseconds of a second.
        modified: kernel_time(file.mtime(), u32::try_from(file.mtime_nsec()).unwrap_or_default()),
        extra: file.len(),
    }
}
