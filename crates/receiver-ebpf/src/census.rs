//! Censuses: lists of the processes that there are, made step by step, so that no stage remembers for ever a process
//! whose end was lost.

use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Duration;

use pdata::{BootTime, Census, CensusEntry, KTime, Pid, ProcessKey};
use procfs::clock;
use zerocopy::FromBytes;

use crate::abi::CensusRecord;
use crate::error::StartError;

/// Least time between the beginnings of two censuses, however many records are lost.
const AFTER_LOSS: Duration = Duration::from_secs(2);
/// Time between two censuses if no record is known to be lost.
const EVERY: Duration = Duration::from_secs(60);
/// The most time by which the record of a process's end may follow its disappearance from the kernel's list: an RCU
/// grace period, and the time that the callbacks before it take.
const SETTLING: Duration = Duration::from_secs(1);
/// Bytes read in one step: four thousand processes, in less than a millisecond.
const STEP_BYTES: usize = 64 << 10;
const RECORD_BYTES: usize = size_of::<CensusRecord>();

/// Decides when to take a census, and takes it.
#[derive(Debug)]
pub(crate) struct Censuses {
    walk: Option<Walk<File>>,
    /// The instant at which the last census began.
    began: KTime,
    /// True if records were lost since `began`.
    lost: bool,
    /// True if the kernel has refused a census, which is logged once.
    refused: bool,
}

impl Censuses {
    /// Censuses that follow the snapshot of `now`.
    pub(crate) fn new(now: KTime) -> Self {
        Self { walk: None, began: now, lost: false, refused: false }
    }

    /// Notes that process events were lost.
    pub(crate) fn records_lost(&mut self) {
        self.lost = true;
    }

    /// Reads the next pids, if a census is under way or one is due. `open` starts the kernel's iterator.
    pub(crate) fn step(&mut self, open: impl FnOnce() -> Result<File, StartError>) -> Option<Census> {
        let now = clock::now();
        if self.walk.is_none() && self.is_due(now) {
            (self.began, self.lost) = (now, false);
            match open() {
                Ok(file) => self.walk = Some(Walk::new(file)),
                Err(error) => self.refuse(&error),
            }
        }
        match self.walk.as_mut()?.step() {
            Ok(false) => return None,
            Ok(true) => {}
            Err(error) => {
                self.walk = None;
                self.refuse(&error);
                return None;
            }
        }
        let processes: Box<[_]> = self.walk.take()?.processes.into();
        let unidentified = match pids_of_proc() {
            Ok(pids) => pids.into_iter().filter(|&pid| !contains(&processes, pid)).collect(),
            Err(error) => {
                self.refuse(&error);
                return None;
            }
        };
        let at = clock::now().saturating_add(SETTLING);
        Some(Census { at, began: self.began, processes, unidentified })
    }

    fn is_due(&self, now: KTime) -> bool {
        let wait = if self.lost { AFTER_LOSS } else { EVERY };
        now.saturating_since(self.began) >= wait
    }

    fn refuse(&mut self, error: &(dyn std::error::Error + 'static)) {
        if !std::mem::replace(&mut self.refused, true) {
            tracing::error!(
                error,
                "Cannot look at which processes there are: those whose end was lost stay known."
            );
        }
    }
}

/// The pids in `/proc`. A kernel may hide a process from BPF, as sandboxes do with their first one; `/proc` has it all
/// the same.
fn pids_of_proc() -> io::Result<Vec<Pid>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid));
    }
    Ok(pids)
}

fn contains(processes: &[CensusEntry], pid: Pid) -> bool {
    processes.binary_search_by_key(&pid, |entry| entry.process.pid).is_ok()
}

/// A census under way.
#[derive(Debug)]
struct Walk<R> {
    source: R,
    processes: Vec<CensusEntry>,
    /// Bytes of a record whose rest has not been read yet.
    rest: Vec<u8>,
}

impl<R: Read> Walk<R> {
    fn new(source: R) -> Self {
        Self { source, processes: Vec::new(), rest: Vec::new() }
    }

    /// Reads some more records; true at the end.
    fn step(&mut self) -> io::Result<bool> {
        let mut bytes = std::mem::take(&mut self.rest);
        let limit = u64::try_from(STEP_BYTES).unwrap_or(u64::MAX);
        let read = self.source.by_ref().take(limit).read_to_end(&mut bytes)?;
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        for record in records {
            let record = CensusRecord::read_from_bytes(record)
                .map_err(|_size| io::Error::from(io::ErrorKind::InvalidData))?;
            let pid = Pid(record.pid);
            // A process that is missing has ended: only a list that is whole and in order shows that.
            if self.processes.last().is_some_and(|last| last.process.pid >= pid) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's list is not in order"));
            }
            let process = ProcessKey { pid, start_time: BootTime::from_nanos(record.start_boottime_ns) };
            self.processes.push(CensusEntry { process, exited: record.exited != 0 });
        }
        self.rest = rest.to_vec();
        let over = read < STEP_BYTES;
        if over && !self.rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(over)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    use super::*;

    fn stream(pids: &[u32]) -> Vec<u8> {
        let record = |&pid: &u32| CensusRecord { pid, exited: pid % 2, start_boottime_ns: 7 };
        pids.iter().flat_map(|pid| record(pid).as_bytes().to_vec()).collect()
    }

    fn walk(bytes: &[u8]) -> io::Result<Vec<CensusEntry>> {
        let mut walk = Walk::new(bytes);
        while !walk.step()? {}
        Ok(walk.processes)
    }

    #[test]
    fn a_look_is_taken_a_while_after_the_last_and_soon_after_a_loss() {
        let seconds = |seconds: u64| KTime::from_nanos(seconds * 1_000_000_000);
        let mut censuses = Censuses::new(seconds(100));
        assert!(!censuses.is_due(seconds(159)));
        assert!(censuses.is_due(seconds(160)));
        censuses.records_lost();
        assert!(!censuses.is_due(seconds(101)), "not again and again while records are lost");
        assert!(censuses.is_due(seconds(102)));
    }

    #[test]
    fn proc_lists_this_process() {
        assert!(pids_of_proc().unwrap().contains(&Pid(std::process::id())));
    }

    #[test]
    fn a_list_out_of_order_or_cut_off_shows_nothing() {
        assert!(walk(&stream(&[1, 3, 2])).is_err());
        assert!(walk(&stream(&[1, 1])).is_err());
        assert!(walk(&stream(&[1, 2])[..20]).is_err());
    }

    proptest! {
        /// Each process is found once, however many steps it takes.
        #[test]
        fn every_process_is_found(pids in proptest::collection::btree_set(1u32.., 0..10_000)) {
            let pids: Vec<_> = pids.into_iter().collect();
            let found = walk(&stream(&pids)).unwrap();
            prop_assert!(found.iter().all(|entry| entry.exited == (entry.process.pid.0 % 2 == 1)));
            prop_assert!(pids.iter().all(|&pid| contains(&found, Pid(pid))));
            prop_assert_eq!(found.len(), pids.len());
        }

        /// Any bytes are read or refused.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _any = walk(&bytes);
        }
    }
}
