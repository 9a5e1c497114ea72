//! Parts of proc_pid_stat(5).

use std::time::Duration;

use pdata::{BootTime, Pid};

use crate::error::ParseError;

/// Length of a clock tick as `/proc` counts them: `USER_HZ` is 100 on every architecture Rust has.
const TICK_NANOS: u64 = 10_000_000;
/// `PF_KTHREAD` of the kernel's `sched.h`.
const KERNEL_THREAD: u32 = 0x0020_0000;
/// Positions of fields after the command's name, counted from the state, which is field 3 in proc(5).
const FLAGS: usize = 9 - 3;
const START_TIME: usize = 22 - 3;
const PARENT: usize = 4 - 3;
const CHILDREN_USER: usize = 16 - 3;

/// The fields of `/proc/PID/stat` that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Start of the process since boot, in ticks, rounded down.
    start_ticks: u64,
    /// True for a kernel thread.
    pub(crate) kernel_thread: bool,
}

impl Stat {
    /// True if a process that started at `start_time` may be this one: the kernel rounds the same instant down. A tick
    /// is 10 ms, within which a pid is used again only if there are few pids.
    pub(crate) fn is_start(&self, start_time: BootTime) -> bool {
        self.start_ticks == start_time.as_nanos() / TICK_NANOS
    }
}

/// Parses `/proc/PID/stat`.
///
/// # Errors
/// [`ParseError`] if a needed field is missing or no number.
pub(crate) fn parse(text: &[u8]) -> Result<Stat, ParseError> {
    parse_fields(text).ok_or_else(|| ParseError::new("stat", text))
}

/// The parent of the process that `/proc/PID/stat` is of; pid 0 for a process that the kernel has made.
#[must_use]
pub fn parent(stat: &[u8]) -> Option<Pid> {
    number(fields(stat)?.nth(PARENT)?).map(Pid)
}

/// CPU time of the children that the process has waited for, and of the children that those have waited for, in steps
/// of 10 ms.
#[must_use]
pub fn children_cpu_time(stat: &[u8]) -> Option<Duration> {
    let mut fields = fields(stat)?;
    let (user, system): (u64, u64) = (number(fields.nth(CHILDREN_USER)?)?, number(fields.next()?)?);
    Some(Duration::from_nanos(user.saturating_add(system).saturating_mul(TICK_NANOS)))
}

/// The fields after the command's name.
fn fields(text: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    // The name is in parentheses, and may itself have parentheses and spaces.
    let end = text.iter().rposition(|&byte| byte == b')')?;
    Some(text.get(end + 1..)?.trim_ascii().split(|&byte| byte == b' '))
}

fn parse_fields(text: &[u8]) -> Option<Stat> {
    let mut fields = fields(text)?;
    let flags: u32 = number(fields.nth(FLAGS)?)?;
    let start_ticks = number(fields.nth(START_TIME - FLAGS - 1)?)?;
    Some(Stat { start_ticks, kernel_thread: flags & KERNEL_THREAD != 0 })
}

/// Parses a number in ASCII; `None` if the text is none or the number too large.
fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `cat /proc/PID/stat` on Linux 6.18, of a process renamed to `a) b`.
    const USER: &[u8] = b"4242 (a) b) S 4000 4242 4242 34816 4300 4194304 1096 0 0 0 0 0 0 0 20 0 1 0 \
        1234567 8388608 1024 18446744073709551615 1 1 0 0 0 0 65536 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
    /// The line of `[kthreadd]`, on the same kernel.
    const KERNEL: &[u8] = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 7 0 0 20 0 1 0 3 0 0 \
        18446744073709551615 0 0 0 0 0 0 0 2147483647 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = parse(USER).unwrap();
        assert!(!stat.kernel_thread);
        assert!(stat.is_start(BootTime::from_nanos(12_345_670_000_000)));
        assert!(stat.is_start(BootTime::from_nanos(12_345_679_999_999)));
        assert!(!stat.is_start(BootTime::from_nanos(12_345_669_999_999)));
        assert!(!stat.is_start(BootTime::from_nanos(12_345_680_000_000)));
        assert!(parse(KERNEL).unwrap().kernel_thread);
        assert_eq!((parent(USER), parent(KERNEL)), (Some(Pid(4000)), Some(Pid(0))));
        let waited = b"7 (a) S 1 7 7 0 -1 0 0 0 0 0 5 6 120 34 20 0 1 0 1 0 0\n";
        assert_eq!(children_cpu_time(waited), Some(Duration::from_millis(1_540)));
    }

    #[test]
    fn a_line_cut_short_is_refused_with_its_text() {
        let error = parse(b"1 (init) S 0 1 1").unwrap_err();
        assert!(error.to_string().contains("1 (init) S 0 1 1"));
    }

    proptest! {
        /// Any bytes parse or are refused.
        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (parse(&text), parent(&text), children_cpu_time(&text));
        }

        /// Any damage to a real line parses or is refused.
        #[test]
        fn no_damage_panics(at in 0..USER.len(), byte: u8, cut in 0..USER.len()) {
            let mut text = USER.to_vec();
            text[at] = byte;
            text.truncate(cut);
            let _ = parse(&text);
        }
    }
}
