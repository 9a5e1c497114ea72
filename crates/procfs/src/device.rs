//! Device numbers: as the kernel has them inside, and as programs see them.

/// A device number, as stat(2) shows it, as the kernel has it inside: 12 bits of major and 20 of minor.
#[must_use]
pub fn kernel_device(device: u64) -> u32 {
    (rustix::fs::major(device) << 20) | (rustix::fs::minor(device) & 0xf_ffff)
}

/// Major and minor of a device number as the kernel has it inside.
pub(crate) fn device_numbers(device: u32) -> (u32, u32) {
    (device >> 20, device & 0xf_ffff)
}
