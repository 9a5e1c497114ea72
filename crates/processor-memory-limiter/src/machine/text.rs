//! The small files: any bytes are parsed or refused.

/// Resident pages: the second field of `statm`, proc_pid_statm(5).
pub(super) fn resident_pages(statm: &[u8]) -> Option<u64> {
    std::str::from_utf8(statm).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// `MemTotal` of proc_meminfo(5), bytes.
pub(super) fn mem_total(meminfo: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(meminfo).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// A group's limit, bytes; `None` for `max`, and for what is no limit. Source: `Documentation/admin-guide/cgroup-v2.rst`
/// (memory.max) and `cgroup-v1/memory.rst` (memory.limit_in_bytes).
pub(super) fn limit(file: &[u8]) -> Option<u64> {
    std::str::from_utf8(file).ok()?.trim_ascii_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_file_is_read_as_the_kernel_writes_it() {
        assert_eq!(resident_pages(b"1234 567 89 1 0 2 0\n"), Some(567));
        assert_eq!(mem_total(b"MemTotal:        8123456 kB\nMemFree: 12 kB\n"), Some(8_123_456 * 1024));
        assert_eq!(limit(b"1048576\n"), Some(1_048_576));
        assert_eq!(limit(b"max\n"), None);
        assert_eq!(mem_total(b"MemTotal: 18446744073709551615 kB\n"), None);
    }

    proptest! {
        /// Any bytes are parsed or refused: no panic.
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), number: u64) {
            let _ = (resident_pages(&bytes), mem_total(&bytes), limit(&bytes));
            prop_assert_eq!(limit(number.to_string().as_bytes()), Some(number));
            prop_assert_eq!(resident_pages(format!("1 {number} 3").as_bytes()), Some(number));
        }
    }
}
