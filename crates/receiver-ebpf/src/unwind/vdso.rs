//! The vDSO: code that the kernel maps into each process, the same image in all of them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// The vDSO's image, as this process has it; `None` without one.
///
/// # Errors
/// The error of reading `/proc/self`.
pub(crate) fn image() -> io::Result<Option<Vec<u8>>> {
    /// It takes two pages.
    const MAX_BYTES: u64 = 1 << 20;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let Some((start, end)) = maps.lines().find_map(range) else { return Ok(None) };
    let length = end.saturating_sub(start).min(MAX_BYTES);
    let mut image = vec![0; usize::try_from(length).unwrap_or_default()];
    File::open("/proc/self/mem")?.read_exact_at(&mut image, start)?;
    Ok(Some(image))
}

/// The range in a line of proc_pid_maps(5), if it is the vDSO's.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.strip_suffix("[vdso]")?.split_once(' ')?.0.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_the_vdso_has_its_range() {
        let line = "7ffd6a9e5000-7ffd6a9e7000 r-xp 00000000 00:00 0                          [vdso]";
        assert_eq!(range(line), Some((0x7ffd_6a9e_5000, 0x7ffd_6a9e_7000)));
        assert_eq!(range("7ffd6a9e1000-7ffd6a9e5000 r--p 00000000 00:00 0   [vvar]"), None);
        assert_eq!(range("zz-1 r-xp [vdso]"), None);
    }

    #[test]
    fn this_process_has_an_elf_image() {
        let image = image().unwrap().unwrap();
        assert_eq!(image.get(..4), Some(&b"\x7fELF"[..]));
    }
}
