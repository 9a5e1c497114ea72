//! The vDSO: code that the kernel maps into each process.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

/// The most bytes of a vDSO: Linux 6.18 on x86-64 has two pages.
const MAX_SIZE: u64 = 1 << 20;

/// The ELF file of the vDSO in this process's memory; each process of the same machine type has the same.
///
/// # Errors
/// `NotFound` if there is no vDSO; any error of reading `/proc/self`.
pub fn own_vdso() -> io::Result<Vec<u8>> {
    let maps = fs::read("/proc/self/maps")?;
    let (start, end) = range_of(&maps, pdata::VDSO).ok_or(io::ErrorKind::NotFound)?;
    let size = end.saturating_sub(start).min(MAX_SIZE);
    let mut image = vec![0; usize::try_from(size).unwrap_or_default()];
    File::open("/proc/self/mem")?.read_exact_at(&mut image, start)?;
    Ok(image)
}

/// First address of the mapping of that name, and the one after its last, in the text of proc_pid_maps(5).
fn range_of(maps: &[u8], name: &str) -> Option<(u64, u64)> {
    let lines = maps.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.filter_map(|line| line.strip_suffix(name)).find_map(|line| {
        let (start, rest) = line.split_once('-')?;
        let (end, rest) = rest.split_once(' ')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        // A file may have the same name, but has an inode.
        let mut fields = rest.split_whitespace();
        (fields.nth(3) == Some("0") && fields.next().is_none()).then_some((number(start)?, number(end)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_an_elf_file() {
        assert!(own_vdso().unwrap().starts_with(b"\x7fELF"));
    }

    #[test]
    fn a_file_of_that_name_is_another() {
        let maps = b"1000-2000 r-xp 00000000 00:00 7                     /tmp/a [vdso]\n\
            7fff0000-7fff2000 r-xp 00000000 00:00 0                [vdso]\nx-y [vdso]\n";
        assert_eq!(range_of(maps, "[vdso]"), Some((0x7fff_0000, 0x7fff_2000)));
        assert_eq!(range_of(b"1000-2000 r-xp 0 00:00 1 /tmp/[vdso]\n", "[vdso]"), None);
    }
}
