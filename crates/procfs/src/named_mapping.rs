//! Files that a process has mapped and may execute, found by their names.

use std::path::Path;

use foreignfile::{Files, ProcessMemory, Refusal};
use pdata::Pc;

/// The most bytes of a process's list of mappings that are looked through.
const MAX_MAPS: u32 = 8 << 20;

/// A mapping of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedMapping {
    /// First address of the mapping and the one after it.
    pub range: (Pc, Pc),
    /// Device of the file, major and minor.
    pub device: (u32, u32),
}

/// The first executable mapping of a process whose file has that name, in whatever directory. `process` is the
/// process's directory in `/proc`.
///
/// # Errors
/// The reason why the list of mappings is not to be read.
pub fn executable_mapping(
    files: &mut Files,
    process: &Path,
    name: &str,
) -> Result<Option<NamedMapping>, Refusal> {
    let maps = files.read_memory(process, ProcessMemory::Maps, 0, MAX_MAPS)?;
    Ok(maps.split(|&byte| byte == b'\n').find_map(|line| parse(line, name)))
}

/// The mapping of a line of `maps`, proc_pid_maps(5), if it is executable and its file has that name.
fn parse(line: &[u8], name: &str) -> Option<NamedMapping> {
    let mut fields = std::str::from_utf8(line).ok()?.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let is_executable = fields.next()?.as_bytes().get(2) == Some(&b'x');
    let (major, minor) = fields.nth(1)?.split_once(':')?;
    let path = fields.nth(1)?.trim_start();
    let is_it = is_executable && path.starts_with('/') && path.rsplit('/').next() == Some(name);
    let address = |text| u64::from_str_radix(text, 16).ok().map(Pc);
    let half = |text| u32::from_str_radix(text, 16).ok();
    is_it.then(|| {
        Some(NamedMapping { range: (address(start)?, address(end)?), device: (half(major)?, half(minor)?) })
    })?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_an_executable_mapping_of_that_name_is_found() {
        let found = NamedMapping { range: (Pc(0x7f00_0000_1000), Pc(0x7f00_0000_2000)), device: (0xfe, 1) };
        for (line, expected) in [
            (
                "7f0000001000-7f0000002000 r-xp 00000000 fe:01 77                         /a b/jit-7.dump",
                Some(found),
            ),
            (
                "7f0000001000-7f0000002000 r--p 00000000 fe:01 77                         /a b/jit-7.dump",
                None,
            ),
            (
                "7f0000001000-7f0000002000 r-xp 00000000 fe:01 77                         /a b/jit-77.dump",
                None,
            ),
            (
                "7f0000001000-7f0000002000 r-xp 00000000 fe:01 77                         /jit-7.dump (deleted)",
                None,
            ),
            ("7f0000001000-7f0000002000 r-xp 00000000 00:00 0 ", None),
            ("7f0000001000-7f0000002000 r-xp 00000000 00:00 0                          [jit-7.dump]", None),
        ] {
            assert_eq!(parse(line.as_bytes(), "jit-7.dump"), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "[0-9a-f]{0,17}-?[0-9a-f]{0,17} [rwxp-]{0,4} .{0,40}") {
            let _any = parse(line.as_bytes(), "jit-7.dump");
        }
    }
}
