//! A list of functions, which is read on and on while its process writes it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use foreignfile::Opened;
use symbolize::{AddedFunctions, JitDump, JitFunctions, PerfMap};

/// The most bytes that a list may have: larger ones are refused.
pub(super) const MAX_LIST: u64 = 256 << 20;
/// Bytes that are read at once, and the most of one reading: others wait for their names meanwhile. The rest of a dump
/// whose process is gone is read in one reading, since the samples that ask for it are the last: most of it is code,
/// which is skipped.
const PIECE: usize = 128 << 10;
const MAX_READING: usize = 8 << 20;
const MAX_REST: usize = 64 << 20;
/// Number of bytes before the place where reading goes on that have to be unchanged: else the list has been written
/// anew.
const TAIL: usize = 64;

/// The form of a list, and the state of reading it.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListForm {
    /// perf's `/tmp/perf-PID.map`: a line for each function.
    Lines,
    /// `jit-PID.dump`: records, which have the code of functions, too.
    Dump(JitDump),
}

impl ListForm {
    fn add(&mut self, bytes: &[u8], functions: &mut JitFunctions) -> AddedFunctions {
        match self {
            Self::Lines => PerfMap.add(bytes, functions),
            Self::Dump(dump) => dump.add(bytes, functions),
        }
    }
}

/// A list, and the place up to which it has been read.
#[derive(Debug)]
pub(super) struct List {
    /// Device and inode of the list.
    file: (u64, u64),
    pub(super) form: ListForm,
    consumed: u64,
    /// Bytes of the list right before the place up to which it has been read.
    tail: Vec<u8>,
    /// The open list; `None` if its file system may ask others when it is read.
    pub(super) held: Option<File>,
}

/// The result of a reading of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// True if names that were returned before may hold no longer.
    pub(super) replaced: bool,
    /// True if the list has been written anew, and was read from its start.
    pub(super) anew: bool,
    /// True if there are more bytes to be read at once.
    pub(super) more: bool,
    pub(super) added: AddedFunctions,
}

impl List {
    /// Adds to `functions` the new functions of the list that is open now; `known` is the process's list so far. The
    /// list has the form from before, unless it is another list.
    ///
    /// # Errors
    /// The error of reading: what was read before stays, and the next reading goes on there.
    pub(super) fn read(
        known: &mut Option<Self>,
        (opened, form): (&mut Opened<'_>, ListForm),
        functions: &mut JitFunctions,
    ) -> io::Result<Reading> {
        let found = *opened.found();
        let file = (found.device, found.inode);
        let held = opened.shared().and_then(|file| file.try_clone().ok());
        let mut read_at = |at: u64, room: &mut [u8]| opened.read_at(at, room);
        let goes_on = match known {
            Some(list) if list.file == file => list.goes_on(&mut read_at)?,
            Some(_) | None => false,
        };
        let (mut replaced, mut anew) = (false, false);
        if !goes_on {
            anew = known.is_some();
            if anew {
                replaced = functions.ranges() > 0;
                functions.clear();
            }
            *known = None;
        }
        let list =
            known.get_or_insert_with(|| Self { file, form, consumed: 0, tail: Vec::new(), held: None });
        list.held = held;
        let mut reading = list.read_on((found.size, MAX_READING), &mut read_at, functions)?;
        reading.replaced |= replaced;
        reading.anew = anew;
        Ok(reading)
    }

    /// Adds the rest of a list that is held open, whose process is gone.
    ///
    /// # Errors
    /// The error of reading; `NotFound` if the list is not held, or has been written anew.
    pub(super) fn read_rest(&mut self, functions: &mut JitFunctions) -> io::Result<Reading> {
        let held = self.held.take().ok_or(io::ErrorKind::NotFound)?;
        let mut read_at = |at: u64, room: &mut [u8]| held.read_at(room, at);
        if !self.goes_on(&mut read_at)? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let most = if matches!(self.form, ListForm::Dump(_)) { MAX_REST } else { MAX_READING };
        let reading = self.read_on((held.metadata()?.len(), most), &mut read_at, functions)?;
        self.held = Some(held).filter(|_| reading.more);
        Ok(reading)
    }

    /// True if the bytes before the place up to which the list has been read are unchanged.
    fn goes_on(&self, read_at: &mut impl FnMut(u64, &mut [u8]) -> io::Result<usize>) -> io::Result<bool> {
        let mut tail = vec![0; self.tail.len()];
        let from = self.consumed - self.tail.len() as u64;
        Ok(read_at(from, &mut tail)? == tail.len() && tail == self.tail)
    }

    /// Adds the functions that the list, which has `size` bytes by now, has gained; reads `most` bytes of it, about.
    fn read_on(
        &mut self,
        (size, most): (u64, usize),
        read_at: &mut impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
        functions: &mut JitFunctions,
    ) -> io::Result<Reading> {
        let (mut reading, mut text, mut read) = (Reading::default(), Vec::new(), 0);
        while self.consumed + (text.len() as u64) < size.min(MAX_LIST) {
            if read >= most {
                reading.more = true;
                break;
            }
            let before = text.len();
            text.resize(before + PIECE, 0);
            let room = text.get_mut(before..).unwrap_or_default();
            let more = match read_at(self.consumed + before as u64, room) {
                Ok(more) => more,
                Err(error) if read == 0 => return Err(error),
                // The next reading has the same error first, and this one has functions.
                Err(_error) => {
                    reading.more = true;
                    break;
                }
            };
            text.truncate(before + more);
            read += more;
            if more == 0 {
                break;
            }
            let added = self.form.add(&text, functions);
            self.pass(&text, added.consumed);
            text.drain(..added.consumed);
            reading.added += added;
        }
        reading.replaced = reading.added.overlapping > 0;
        Ok(reading)
    }

    /// Moves the place on by `consumed` bytes of `text`.
    fn pass(&mut self, text: &[u8], consumed: usize) {
        self.consumed += consumed as u64;
        self.tail.extend_from_slice(text.get(..consumed).unwrap_or_default());
        let old = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..old);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::time::{Duration, Instant};

    use foreignfile::{FilePlace, Files, Quarantine};

    use super::*;

    /// A reading whose time is over, as when the agent was stopped in the middle of it, loses nothing.
    #[test]
    fn a_list_that_cannot_be_read_now_is_read_on_later() {
        const TIME: Duration = Duration::from_secs(5);
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        fs::write(&path, "1000 100 first\n").unwrap();
        let mut files = Files::new(Quarantine::of_this_process());
        files.wait_for_answers(Duration::from_secs(60));
        let (mut list, mut functions) = (None, JitFunctions::new(1 << 20));
        let mut read = |within: Duration, after: Duration| {
            let place = FilePlace::Own { path: &path, follows_links: true };
            let mut opened = files.open_data(place, within, |_found| true).unwrap();
            let opened_at = Instant::now();
            while opened_at.elapsed() < after {
                std::thread::sleep(Duration::from_millis(20));
            }
            let read = List::read(&mut list, (&mut opened, ListForm::Lines), &mut functions);
            (read.ok(), functions.ranges())
        };
        let (reading, count) = read(12 * TIME, Duration::ZERO);
        assert_eq!((reading.unwrap().anew, count), (false, 1));
        File::options().append(true).open(&path).unwrap().write_all(b"2000 100 second\n").unwrap();
        assert_eq!(read(TIME, TIME), (None, 1));
        let (reading, count) = read(12 * TIME, Duration::ZERO);
        assert_eq!((reading.unwrap().anew, count), (false, 2));
    }
}
