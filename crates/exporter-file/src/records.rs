//! Records that are written whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The longest time that a reader of a pipe may take for one record. A reader that has stood still for as long is not
/// waited for again until it reads on: records would queue up before it, and each would delay the agent's end.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);

/// A destination of records: one appends to it, and may cut its end.
pub(crate) trait Target: Write {
    /// Cuts off the last `bytes` bytes.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;

    /// Waits until more can be written, for `within` at most.
    fn wait(&mut self, within: Duration) -> io::Result<()>;
}

/// The file is open with `O_APPEND`, so that the next write is at its end, wherever that is by then.
impl Target for File {
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let length = self.metadata()?.len();
        // A pipe or device has length 0 and cannot be cut.
        let length = length.checked_sub(bytes).ok_or(io::ErrorKind::Unsupported)?;
        self.set_len(length)
    }

    fn wait(&mut self, within: Duration) -> io::Result<()> {
        let within = Timespec::try_from(within).map_err(|_too_long| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(self, PollFlags::OUT)], Some(&within))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

/// Writes records of any format, whole or not at all, as far as the target lets it.
///
/// Bytes of a record that a failing write has left are cut off again. Where that is impossible, as in a pipe, the rest
/// of the record goes before the next one: a reader never loses its place, and at worst sees a record that was reported
/// as dropped.
#[derive(Debug)]
pub(crate) struct Records<T> {
    target: T,
    /// The rest of a record that is in the file in part; it must be written before anything else.
    owed: Vec<u8>,
    /// True if the target has taken nothing since it was last waited for in vain.
    stands: bool,
}

impl<T: Target> Records<T> {
    pub(crate) fn new(target: T) -> Self {
        Self { target, owed: Vec::new(), stands: false }
    }

    /// Writes a record straight to the target: nothing is buffered.
    pub(crate) fn write(&mut self, record: &[u8]) -> io::Result<()> {
        if !self.owed.is_empty() {
            let (written, result) = put(&mut self.target, &self.owed, &mut self.stands);
            self.owed.drain(..written);
            result?;
        }
        let (written, result) = put(&mut self.target, record, &mut self.stands);
        if result.is_err() && written > 0 && self.target.cut(written as u64).is_err() {
            self.owed.extend_from_slice(record.get(written..).unwrap_or_default());
        }
        result
    }
}

/// Writes bytes. Returns the number of written bytes, and the error if not all were written. A target that `stands`
/// still is not waited for.
fn put(target: &mut impl Target, bytes: &[u8], stands: &mut bool) -> (usize, io::Result<()>) {
    let deadline = Instant::now() + TAKEN_WITHIN;
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match target.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                written += count;
                *stands = false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // This is a pipe or device; files never block.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = deadline.saturating_duration_since(Instant::now());
                if let Err(error) = target.wait(if *stands { Duration::ZERO } else { left }) {
                    *stands = true;
                    return (written, Err(error));
                }
            }
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A writer that takes the scripted numbers of bytes at a time and fails where the script has 0; its content can be
    /// read.
    struct Scripted {
        steps: Vec<usize>,
        cuttable: bool,
        held: Vec<u8>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.steps.pop() {
                Some(0) => Err(io::ErrorKind::StorageFull.into()),
                step => {
                    let taken = step.unwrap_or(bytes.len()).min(bytes.len());
                    self.held.extend_from_slice(&bytes[..taken]);
                    Ok(taken)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Scripted {
        fn cut(&mut self, bytes: u64) -> io::Result<()> {
            if !self.cuttable {
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.held.truncate(self.held.len() - usize::try_from(bytes).unwrap());
            Ok(())
        }

        fn wait(&mut self, _within: Duration) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        /// Wherever writes break off, every record reported as written stands whole and in order; a target that can be
        /// cut holds nothing else, and one that cannot holds whole records only.
        #[test]
        fn written_records_are_whole(
            steps in prop::collection::vec(0..6_usize, 0..40),
            records in prop::collection::vec("[a-z]{0,12}", 1..10),
            cuttable: bool,
        ) {
            let mut file = Records::new(Scripted { steps, cuttable, held: Vec::new() });
            let written: Vec<_> =
                records.iter().filter(|text| file.write(format!("{text}\n").as_bytes()).is_ok()).collect();
            file.target.held.extend_from_slice(&file.owed);
            let text = String::from_utf8(file.target.held).unwrap();
            if cuttable {
                let expected: String = written.iter().map(|text| format!("{text}\n")).collect();
                prop_assert_eq!(text, expected);
                return Ok(());
            }
            let mut given = records.iter();
            for line in text.lines() {
                prop_assert!(given.any(|record| record == line), "{:?} in {:?}", line, text);
            }
            let mut found = text.lines();
            for record in &written {
                prop_assert!(found.any(|line| line == **record), "{:?} in {:?}", record, text);
            }
        }
    }
}
