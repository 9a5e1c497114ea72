//! The processes that were there first, read step by step.

use std::io::{self, Read};

use pdata::Event;

use crate::decode::{self, DecodeError, Record};

/// Bytes read in one step: some three hundred processes, in a millisecond. Events meanwhile wait in a ring.
const STEP_BYTES: usize = 64 << 10;

/// The reason why a snapshot breaks off.
///
/// The records after a malformed one cannot be found. A process that is missing for that reason is unknown when it is
/// sampled, and then read from `/proc`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The kernel's iterator cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// A record makes no sense.
    #[error("makes no sense")]
    Malformed(#[source] DecodeError),
}

/// The stream that `Programs::snapshot` opens: image records, each stamped when the kernel wrote it.
#[derive(Debug)]
pub(crate) struct Snapshot<R> {
    source: R,
    /// The read part of a record whose rest is still to be read.
    unread: Vec<u8>,
}

impl<R: Read> Snapshot<R> {
    /// A snapshot whose records are in `source`.
    pub(crate) fn new(source: R) -> Self {
        Self { source, unread: Vec::new() }
    }

    /// Reads some more, and calls `each` with the event of each process; true at the end.
    ///
    /// # Errors
    /// [`SnapshotError`], after which nothing more can be read.
    pub(crate) fn step(&mut self, mut each: impl FnMut(Event)) -> Result<bool, SnapshotError> {
        let limit = u64::try_from(STEP_BYTES).unwrap_or(u64::MAX);
        let mut bytes = std::mem::take(&mut self.unread);
        let read = self.source.by_ref().take(limit).read_to_end(&mut bytes).map_err(SnapshotError::Read)?;
        let is_over = read < STEP_BYTES;
        let mut stream = &bytes[..];
        while !stream.is_empty() {
            let (record, rest) = match decode::split_image(stream) {
                Ok(split) => split,
                // Lengths are of 16 bits, so this waits for a few steps at most.
                Err(DecodeError::Truncated { .. }) if !is_over => break,
                Err(error) => return Err(SnapshotError::Malformed(error)),
            };
            if let Record::Event(event) = decode::decode(record).map_err(SnapshotError::Malformed)? {
                each(event);
            }
            stream = rest;
        }
        self.unread = stream.to_vec();
        Ok(is_over)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    use super::*;
    use crate::abi::{self, ImageBody, RecordHeader, RelativesRecord};

    /// The record of a process whose path has `path_bytes` bytes.
    fn record(pid: u32, path_bytes: u16) -> Vec<u8> {
        let header = RecordHeader {
            kind: abi::RECORD_SEEN,
            cpu: 0,
            ktime_ns: u64::from(pid),
            pid,
            tid: pid,
            start_boottime_ns: 7,
            exec_count: 0,
            flags: 0,
            comm: *b"worker\0\0\0\0\0\0\0\0\0\0",
        };
        let relatives = RelativesRecord::default();
        let image = ImageBody {
            inode: 1,
            device: 2,
            link_count: 1,
            mount_namespace: 3,
            path_bytes,
            own_path_bytes: 0,
            filename_bytes: 0,
            interpreter_bytes: 0,
            environment_bytes: 0,
            arguments_bytes: 0,
            relatives,
        };
        [header.as_bytes(), image.as_bytes(), &vec![b'/'; path_bytes.into()]].concat()
    }

    /// Returns the pids of all records read, the number of steps, and the result of the last.
    fn read(stream: &[u8]) -> (Vec<u32>, usize, Result<(), SnapshotError>) {
        let (mut snapshot, mut pids, mut steps) = (Snapshot::new(stream), Vec::new(), 0);
        loop {
            steps += 1;
            let step = snapshot.step(|event| match event {
                Event::Process(process) => pids.push(process.image.process.pid.0),
                other => panic!("{other:?}"),
            });
            assert!(snapshot.unread.len() < 5 * usize::from(u16::MAX), "all that was read is kept");
            match step {
                Ok(false) => {}
                Ok(true) => return (pids, steps, Ok(())),
                Err(error) => return (pids, steps, Err(error)),
            }
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_read_up_to_there() {
        assert!(matches!(read(b""), (pids, 1, Ok(())) if pids.is_empty()));
        let truncated = read(b"garbage");
        assert!(matches!(truncated.2, Err(SnapshotError::Malformed(DecodeError::Truncated { .. }))));
        let mut other_kind = record(2, 5);
        other_kind[..4].copy_from_slice(&99_u32.to_ne_bytes());
        let unknown = read(&[record(1, 3), other_kind, record(3, 3)].concat());
        assert!(matches!(unknown.2, Err(SnapshotError::Malformed(DecodeError::UnknownKind { kind: 99 }))));
        assert_eq!(unknown.0, [1]);
    }

    proptest! {
        /// However records lie in the steps: each process is found once, and no more is read at a time than a step.
        #[test]
        fn every_process_is_found(lengths in proptest::collection::vec(prop_oneof![0_u16..200, any::<u16>()], 0..60)) {
            let records = (1..).zip(&lengths).map(|(pid, &length)| record(pid, length));
            let stream = records.collect::<Vec<_>>().concat();
            let (pids, steps, end) = read(&stream);
            prop_assert!(end.is_ok());
            prop_assert_eq!(pids, (1..).take(lengths.len()).collect::<Vec<u32>>());
            prop_assert_eq!(steps, stream.len() / STEP_BYTES + 1);
        }

        /// Any bytes are read as far as they make sense, and always in finite time.
        #[test]
        fn any_stream_is_read_as_far_as_it_makes_sense(stream in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _any = read(&stream);
        }
    }
}
