//! A file of whole lines.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Where lines go: appended to, and cut at the end.
pub(crate) trait Target: Write {
    /// Takes back the last `bytes` bytes.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

/// Opened with `O_APPEND`, so that the next write is at the end wherever that is by then.
impl Target for File {
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let length = self.metadata()?.len();
        // A pipe or device says 0 and cannot be cut.
        let length = length.checked_sub(bytes).ok_or(io::ErrorKind::Unsupported)?;
        self.set_len(length)
    }
}

/// True if a file ends within a line, as after a crash.
pub(crate) fn ends_torn(file: &mut File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last != [b'\n'])
}

/// Writes lines whole or not at all, as far as the target lets it.
///
/// What a failing write has left of a line is cut off again. Where that is impossible, the rest stays
/// as a line of its own, so that the lines after it are whole.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    target: T,
    /// The target ends within a line.
    torn: bool,
}

impl<T: Target> Lines<T> {
    pub(crate) fn new(target: T, torn: bool) -> Self {
        Self { target, torn }
    }

    /// Writes a line, given with its end, straight to the target: nothing is buffered.
    pub(crate) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.target.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.target.write(rest) {
                Ok(0) => return self.give_up(line.len() - rest.len(), io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.give_up(line.len() - rest.len(), error),
            }
        }
        Ok(())
    }

    fn give_up(&mut self, written: usize, error: io::Error) -> io::Result<()> {
        self.torn = written > 0 && self.target.cut(written as u64).is_err();
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes a number of bytes at a time as told, an error where told 0, and what it holds is seen.
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
    }

    proptest! {
        /// Wherever writes break off, every line reported as written stands whole on a line of its own,
        /// in order; where the target can be cut, nothing else stands there.
        #[test]
        fn written_lines_are_whole(
            steps in prop::collection::vec(0..6_usize, 0..40),
            lines in prop::collection::vec("[a-z]{0,12}", 1..10),
            cuttable: bool,
        ) {
            let mut file = Lines::new(Scripted { steps, cuttable, held: Vec::new() }, false);
            let written: Vec<_> =
                lines.iter().filter(|line| file.write(format!("{line}\n").as_bytes()).is_ok()).collect();
            let text = String::from_utf8(file.target.held).unwrap();
            let mut found = text.lines();
            for line in &written {
                prop_assert!(found.any(|other| other == **line), "{line:?} in {text:?}");
            }
            if cuttable {
                let expected: String = written.iter().map(|line| format!("{line}\n")).collect();
                prop_assert_eq!(text, expected);
            }
        }
    }
}
