//! The CPUs of the machine, and the time that each has worked.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

use crate::error::StartError;
use crate::reread::RereadFile;

const ONLINE: &str = "/sys/devices/system/cpu/online";
const POSSIBLE: &str = "/sys/devices/system/cpu/possible";
const STAT: &str = "/proc/stat";

/// The most CPUs of a list: no kernel has as many, so a list that claims more is not believed.
const MOST_CPUS: usize = 1 << 16;

/// CPUs that run now, in order.
///
/// # Errors
/// [`StartError::Cpus`] if the kernel's list cannot be read.
pub(crate) fn online() -> Result<Vec<u32>, StartError> {
    list(ONLINE)
}

/// CPUs that may ever run, in order: a per-CPU map has a value for each of them, in this order.
///
/// # Errors
/// [`StartError::Cpus`] if the kernel's list cannot be read.
pub(crate) fn possible() -> Result<Vec<u32>, StartError> {
    list(POSSIBLE)
}

fn list(file: &'static str) -> Result<Vec<u32>, StartError> {
    let failed = |source| StartError::Cpus { file, source };
    let text = fs::read_to_string(file).map_err(failed)?;
    parse_list(&text).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
}

/// Parses a list as in cpuset(7), "0,2-3"; `None` if the text is none.
fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for range in text.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let more = usize::try_from(last.checked_sub(first)?).ok()?;
        if cpus.len() + more >= MOST_CPUS {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// The kernel's figures on CPUs, for a caller that reads them again and again.
#[derive(Debug)]
pub(crate) struct CpuFigures {
    online: RereadFile,
    stat: RereadFile,
}

impl CpuFigures {
    pub(crate) fn new() -> Self {
        Self { online: RereadFile::new(ONLINE), stat: RereadFile::new(STAT) }
    }

    /// CPUs that run now, in order.
    ///
    /// # Errors
    /// Errors of reading the kernel's list; also if its text is no list.
    pub(crate) fn online(&mut self) -> io::Result<Vec<u32>> {
        parse_list(self.online.read()?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The time that each CPU that runs now has worked since the machine was started: in user mode, in the kernel, and
    /// in interrupts. To the clock tick of user space (10 ms).
    ///
    /// # Errors
    /// Errors of reading `/proc/stat`.
    pub(crate) fn busy(&mut self) -> io::Result<BTreeMap<u32, Duration>> {
        Ok(parse_stat(self.stat.read()?, rustix::param::clock_ticks_per_second()))
    }
}

/// The `cpuN` lines of proc_stat(5). Other lines, and those that are not as documented, are passed over.
fn parse_stat(text: &str, ticks_per_second: u64) -> BTreeMap<u32, Duration> {
    let mut busy = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let cpu = words.next().and_then(|word| word.strip_prefix("cpu")).and_then(|cpu| cpu.parse().ok());
        let Some(cpu) = cpu else { continue };
        // Guests' time is part of `user` and `nice`.
        let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let [user, nice, system, _idle, _iowait, irq, softirq, ..] = numbers[..] else { continue };
        let ticks = [user, nice, system, irq, softirq].into_iter().fold(0, u64::saturating_add);
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(ticks_per_second.max(1));
        busy.insert(cpu, Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
    }
    busy
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_cpus_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse_list("0-1\n"), Some(vec![0, 1]));
        assert_eq!(parse_list("0,2-4,7\n"), Some(vec![0, 2, 3, 4, 7]));
        assert_eq!(parse_list("\n"), Some(vec![]), "no CPU is offline");
        for text in ["0-", "x", "3-1", "0-4294967295", "-1"] {
            assert_eq!(parse_list(text), None, "{text}");
        }
    }

    #[test]
    fn a_cpu_has_worked_for_all_time_but_idle_and_stolen() {
        let text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 4 800 1600 8 16 3200 1 0\ncpu12 5 0 0 7 0 0 0 0 0 0\ncpu1 5 0\nintr 99\n";
        let busy = parse_stat(text, 100);
        let expected = [(0, Duration::from_millis(310)), (12, Duration::from_millis(50))];
        assert_eq!(busy.into_iter().collect::<Vec<_>>(), expected);
    }

    proptest! {
        /// Any text is read or refused.
        #[test]
        fn any_text_is_read_or_refused(text in "(cpu)?[0-9,\\- \n]{0,40}\\PC{0,9}", ticks: u64) {
            let _any = (parse_list(&text), parse_stat(&text, ticks));
        }

        /// Any list of CPUs is read as it was written.
        #[test]
        fn a_list_says_which_cpus_there_are(cpus in proptest::collection::btree_set(0u32..4096, 0..64)) {
            let text: Vec<_> = cpus.iter().map(u32::to_string).collect();
            prop_assert_eq!(parse_list(&text.join(",")), Some(cpus.into_iter().collect()));
        }
    }
}
