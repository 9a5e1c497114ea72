//! The small files: any bytes are parsed or refused.

/// `RssAnon` of proc_pid_status(5), bytes.
pub(super) fn rss_anon(status: &[u8]) -> Option<u64> {
    bytes_of("RssAnon:", status)
}

/// `MemTotal` of proc_meminfo(5), bytes.
pub(super) fn mem_total(meminfo: &[u8]) -> Option<u64> {
    bytes_of("MemTotal:", meminfo)
}

/// `KEY  NUMBER kB`, in bytes. Other lines may hold any bytes: the process's name, for one.
fn bytes_of(key: &str, file: &[u8]) -> Option<u64> {
    let line = file.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key.as_bytes()))?;
    let text = std::str::from_utf8(line).ok()?;
    let kibibytes: u64 = text.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// A group's limit, bytes; `None` for `max`, and for what is no limit. Source:
/// `Documentation/admin-guide/cgroup-v2.rst` (memory.max) and `cgroup-v1/memory.rst` (memory.limit_in_bytes).
pub(super) fn limit(file: &[u8]) -> Option<u64> {
    std::str::from_utf8(file).ok()?.trim_ascii_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_file_is_read_as_the_kernel_writes_it() {
        let status = b"Name:\t\xff\nVmRSS:\t 900 kB\nRssAnon:\t     567 kB\nRssFile:\t 333 kB\n";
        assert_eq!(rss_anon(status), Some(567 * 1024));
        assert_eq!(mem_total(b"MemTotal:        8123456 kB\nMemFree: 12 kB\n"), Some(8_123_456 * 1024));
        assert_eq!(limit(b"1048576\n"), Some(1_048_576));
        assert_eq!(limit(b"max\n"), None);
        assert_eq!(mem_total(b"MemTotal: 18446744073709551615 kB\n"), None);
    }

    proptest! {
        /// Any bytes are parsed or refused: no panic.
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), number: u64) {
            let _ = (rss_anon(&bytes), mem_total(&bytes), limit(&bytes));
            prop_assert_eq!(limit(number.to_string().as_bytes()), Some(number));
            let status = format!("RssAnon: {} kB", number >> 10);
            prop_assert_eq!(rss_anon(status.as_bytes()), Some(number >> 10 << 10));
        }
    }
}
