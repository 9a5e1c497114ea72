//! Parsers of small files of `/proc` and control groups: any bytes are parsed or refused.

/// `RssAnon` of proc_pid_status(5), bytes.
#[must_use]
pub fn rss_anon(status: &[u8]) -> Option<u64> {
    bytes_of("RssAnon:", status)
}

/// `MemTotal` of proc_meminfo(5), bytes.
#[must_use]
pub fn mem_total(meminfo: &[u8]) -> Option<u64> {
    bytes_of("MemTotal:", meminfo)
}

/// The rest of the line that begins with a key. Other lines may hold any bytes: the process's name, for one.
fn value_of<'a>(key: &str, file: &'a [u8]) -> Option<&'a str> {
    let line = file.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key.as_bytes()))?;
    std::str::from_utf8(line).ok()
}

/// The value of a line `KEY NUMBER kB`, in bytes.
fn bytes_of(key: &str, file: &[u8]) -> Option<u64> {
    let kibibytes: u64 = value_of(key, file)?.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The bits of `CapEff` of proc_pid_status(5): the effective capabilities.
#[must_use]
pub fn effective_capabilities(status: &[u8]) -> Option<u64> {
    u64::from_str_radix(value_of("CapEff:", status)?.trim(), 16).ok()
}

/// True if the process ignores the signal with this number, from 1, by `SigIgn` of proc_pid_status(5).
#[must_use]
pub fn ignores(status: &[u8], signal: u32) -> Option<bool> {
    let ignored = u64::from_str_radix(value_of("SigIgn:", status)?.trim(), 16).ok()?;
    Some(ignored >> signal.checked_sub(1).filter(|&bit| bit < u64::BITS)? & 1 == 1)
}

/// `Tgid` of proc_pid_status(5): the process that a thread is of, as user space counts.
#[must_use]
pub fn process_of(status: &[u8]) -> Option<u32> {
    value_of("Tgid:", status)?.trim().parse().ok()
}

/// `Groups` of proc_pid_status(5): the supplementary groups.
#[must_use]
pub fn groups(status: &[u8]) -> Option<Vec<u32>> {
    value_of("Groups:", status)?.split_ascii_whitespace().map(|group| group.parse().ok()).collect()
}

/// Nanoseconds that a thread has been on a CPU, of `/proc/PID/task/TID/schedstat`. Source:
/// `Documentation/scheduler/sched-stats.rst`.
#[must_use]
pub fn on_cpu(schedstat: &[u8]) -> Option<u64> {
    std::str::from_utf8(schedstat).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// The users that a process runs as, of proc_pid_status(5): real, effective, saved and file-system user.
#[must_use]
pub fn users(status: &[u8]) -> Option<[u32; 4]> {
    let mut users = value_of("Uid:", status)?.split_ascii_whitespace().map(|user| user.parse().ok());
    Some([users.next()??, users.next()??, users.next()??, users.next()??])
}

/// The pid of a process in each pid namespace, from the namespace of the `/proc` that was read down to the process's
/// own, of proc_pid_status(5).
#[must_use]
pub fn pids(status: &[u8]) -> Option<Vec<u32>> {
    value_of("NSpid:", status)?.split_ascii_whitespace().map(|pid| pid.parse().ok()).collect()
}

/// The pid of a process in its own pid namespace, of proc_pid_status(5).
#[must_use]
pub fn innermost_pid(status: &[u8]) -> Option<u32> {
    pids(status)?.last().copied()
}

/// Memory of a process, in pages, of proc_pid_statm(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// The resident set.
    pub resident: u32,
    /// Data and stacks, resident or not.
    pub data: u32,
}

/// Reads `/proc/PID/statm`.
#[must_use]
pub fn pages(statm: &[u8]) -> Option<Pages> {
    let mut fields = std::str::from_utf8(statm).ok()?.split_ascii_whitespace();
    // `resident` is the second field, `data` the sixth.
    Some(Pages { resident: fields.nth(1)?.parse().ok()?, data: fields.nth(3)?.parse().ok()? })
}

/// A group's limit, bytes; `None` for `max`, and for a text that is no limit. Source:
/// `Documentation/admin-guide/cgroup-v2.rst` (memory.max) and `cgroup-v1/memory.rst` (memory.limit_in_bytes).
#[must_use]
pub fn limit(file: &[u8]) -> Option<u64> {
    std::str::from_utf8(file).ok()?.trim_ascii_end().parse().ok()
}

/// Sum of the values of these keys in a file of `KEY VALUE` lines, such as `memory.stat` of a control group.
#[must_use]
pub fn sum_of(keys: &[&str], file: &[u8]) -> u64 {
    let value = |line: &[u8]| {
        let (key, value) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        if keys.contains(&key) { value.trim_ascii_end().parse().ok() } else { None }
    };
    file.split(|&byte| byte == b'\n').filter_map(value).fold(0, u64::saturating_add)
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
        assert_eq!(effective_capabilities(b"Name:\t\xff\nCapEff:\t000000c000000000\n"), Some(0xc0_0000_0000));
        assert_eq!(effective_capabilities(b"garbage"), None);
        let ignored = b"SigIgn:\t0000000000001001\n";
        assert_eq!(
            [0, 1, 2, 13, 64, 65].map(|signal| ignores(ignored, signal)),
            [None, Some(true), Some(false), Some(true), Some(false), None]
        );
        assert_eq!((process_of(b"Name:\ta\nTgid:\t42\n"), process_of(b"Tgid:\n")), (Some(42), None));
        let status = b"NSpid:\t4242\t7\t1\nUid:\t1000\t0\t1000\t1\n";
        assert_eq!((users(status), innermost_pid(status)), (Some([1000, 0, 1000, 1]), Some(1)));
        assert_eq!(pids(status), Some(vec![4242, 7, 1]));
        assert_eq!((users(b"Uid:\t1\n"), innermost_pid(b"NSpid:\t\n")), (None, None));
        assert_eq!(groups(b"Name:\ta\nGroups:\t4 27 1000 \n"), Some(vec![4, 27, 1_000]));
        assert_eq!(
            (groups(b"Groups:\t\n"), groups(b"Groups:\tx\n"), groups(b"")),
            (Some(vec![]), None, None)
        );
        assert_eq!(
            (on_cpu(b"1234567 89 10\n"), on_cpu(b""), on_cpu(b"-1 2 3")),
            (Some(1_234_567), None, None)
        );
        assert_eq!(pages(b"100 7 3 1 0 9 0\n"), Some(Pages { resident: 7, data: 9 }));
        assert_eq!(pages(b"100 7 3"), None);
        assert_eq!(limit(b"1048576\n"), Some(1_048_576));
        assert_eq!(limit(b"max\n"), None);
        assert_eq!(mem_total(b"MemTotal: 18446744073709551615 kB\n"), None);
    }

    proptest! {
        /// Any bytes are parsed or refused: no panic.
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), number: u64) {
            let _ = (rss_anon(&bytes), mem_total(&bytes), limit(&bytes), effective_capabilities(&bytes), pages(&bytes), process_of(&bytes));
            let _ = (groups(&bytes), on_cpu(&bytes), pids(&bytes));
            prop_assert_eq!(limit(number.to_string().as_bytes()), Some(number));
            let status = format!("RssAnon: {} kB", number >> 10);
            let capabilities = format!("CapEff:\t{number:016x}\n");
            prop_assert_eq!(effective_capabilities(capabilities.as_bytes()), Some(number));
            prop_assert_eq!(rss_anon(status.as_bytes()), Some(number >> 10 << 10));
        }
    }
}
