//! Files opened through a reader.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::FileType;

use crate::asker::Asker;
use crate::kept::Kept;
use crate::message::{Answer, Content, Found, Request};
use crate::opened::Opened;
use crate::origin::Origin;
use crate::place::FilePlace;
use crate::quarantine::{Quarantine, Source};
use crate::refusal::{Refusal, unexpected};

/// Files of `/proc/PID` that show what a process has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessMemory {
    /// The list of the process's mappings, as text: proc_pid_maps(5).
    Maps,
    /// The process's memory itself; positions are addresses.
    Mem,
    /// The strings of its initial environment: proc_pid_environ(5).
    Environ,
    /// The process's arguments: proc_pid_cmdline(5).
    Cmdline,
}

impl ProcessMemory {
    fn name(self) -> &'static str {
        match self {
            Self::Maps => "maps",
            Self::Mem => "mem",
            Self::Environ => "environ",
            Self::Cmdline => "cmdline",
        }
    }
}

/// Bytes of a process's memory that one answer holds.
const PIECE: u32 = 128 << 10;

/// Opens files, one at a time. A reader of its own is started with the first file.
#[derive(Debug)]
pub struct Files(Asker);

impl Files {
    /// Opens files, and shares with others the quarantine of file systems that do not answer.
    #[must_use]
    pub fn new(quarantine: Arc<Quarantine>) -> Self {
        Self(Asker::new(quarantine))
    }

    /// Sets the longest time to wait for each answer: on a busy machine even memory may take its time.
    pub fn wait_for_answers(&mut self, answer_within: Duration) {
        self.0.wait_for_answers(answer_within);
    }

    /// Opens the regular file at a place, if `is_wanted` is true of the found facts. Nothing of the file is read
    /// before. All reads of it have to end `within` that time.
    ///
    /// # Errors
    /// The reason why the file is not to be read.
    pub fn open(
        &mut self,
        place: FilePlace<'_>,
        within: Duration,
        is_wanted: impl Fn(&Found) -> bool,
    ) -> Result<Opened<'_>, Refusal> {
        self.open_first([place], within, |found, _place| is_wanted(found))
    }

    /// Opens a file as [`open`](Self::open) does, but one that no process executes: such as a list of functions that a
    /// process writes. It may be of a mount with `noexec`, as `/tmp` often is, and be empty, since more may be written.
    ///
    /// # Errors
    /// The reason why the file is not to be read.
    pub fn open_data(
        &mut self,
        place: FilePlace<'_>,
        within: Duration,
        is_wanted: impl Fn(&Found) -> bool,
    ) -> Result<Opened<'_>, Refusal> {
        self.open_places([place], Content::Data, within, |found, _place| is_wanted(found))
    }

    /// Opens a file as [`open`](Self::open) does, at the first of several places where the wanted file is.
    ///
    /// # Errors
    /// The reason why the file is not to be read; of several reasons the first that says more than that the file is
    /// gone.
    pub fn open_first<'a>(
        &mut self,
        places: impl IntoIterator<Item = FilePlace<'a>>,
        within: Duration,
        is_wanted: impl Fn(&Found, FilePlace<'a>) -> bool,
    ) -> Result<Opened<'_>, Refusal> {
        self.open_places(places, Content::Code, within, is_wanted)
    }

    fn open_places<'a>(
        &mut self,
        places: impl IntoIterator<Item = FilePlace<'a>>,
        content: Content,
        within: Duration,
        is_wanted: impl Fn(&Found, FilePlace<'a>) -> bool,
    ) -> Result<Opened<'_>, Refusal> {
        self.0.begin_file();
        let until = Instant::now() + within;
        let mut refused = Refusal::Gone;
        for place in places {
            match self.open_at((place, content), until, &is_wanted) {
                Ok((found, origin, shared)) => {
                    return Ok(Opened::new(&mut self.0, (found, origin), shared, until));
                }
                // A source that does not answer is not asked again by another name.
                Err(refusal @ (Refusal::Silent | Refusal::Skipped)) => return Err(refusal),
                Err(refusal) if matches!(refused, Refusal::Gone) => refused = refusal,
                Err(_less) => {}
            }
        }
        Err(refused)
    }

    /// A file that was kept, without looking for it: the process that had mapped it may be gone by now. All reads of it
    /// have to end `within` that time.
    pub fn open_kept(&mut self, kept: Kept, within: Duration) -> Opened<'_> {
        let (file, found, origin) = kept.into_parts();
        Opened::new(&mut self.0, (found, origin), Some(file), Instant::now() + within)
    }

    fn open_at<'a>(
        &mut self,
        (place, content): (FilePlace<'a>, Content),
        until: Instant,
        is_wanted: &impl Fn(&Found, FilePlace<'a>) -> bool,
    ) -> Result<(Found, Origin, Option<File>), Refusal> {
        let (found, origin) = self.find(place, until)?;
        // No code was mapped from an empty file. Those that pretend to be empty, as the files of /proc do, are known by
        // their file systems.
        let is_empty = found.size == 0 && content == Content::Code;
        if !FileType::from_raw_mode(found.mode).is_file() || is_empty {
            return Err(Refusal::Gone);
        }
        if !is_wanted(&found, place) {
            return Err(Refusal::Unwanted);
        }
        match self.0.ask(&Request::Open(content), &origin, until)? {
            Answer::Opened => {}
            Answer::MadeUp(kind) => return Err(Refusal::MadeUp { kind }),
            Answer::NoExec => return Err(Refusal::NoExec),
            answer => return Err(unexpected(&answer)),
        }
        self.0.quarantine().answered(origin.source);
        Ok((found, origin, self.0.take_shared()))
    }

    /// Finds the file at a place, and opens nothing.
    ///
    /// # Errors
    /// Errors of [`open`](Self::open).
    pub fn look(&mut self, place: FilePlace<'_>) -> Result<Found, Refusal> {
        Ok(self.find(place, Instant::now() + self.0.answer_within())?.0)
    }

    /// Reads from such a file of a process, whose directory in `/proc` is `process` (or that of a thread, if its leader
    /// has exited): as many bytes from position `at` on as there are, up to `length`. The kernel may have to wait for
    /// the server of a file that the process has mapped, or for a lock that the process holds; all bytes together must
    /// be there within the time of one answer.
    ///
    /// # Errors
    /// The reason why the memory is not to be read.
    pub fn read_memory(
        &mut self,
        process: &Path,
        file: ProcessMemory,
        at: u64,
        length: u32,
    ) -> Result<Vec<u8>, Refusal> {
        let path = process.join(file.name());
        let origin = Origin::of_way(FilePlace::Link { link: &path, process, device: None });
        if !self.0.quarantine().may_ask(origin.source) {
            return Err(Refusal::Skipped);
        }
        self.0.start()?;
        self.0.begin_file();
        let until = Instant::now() + self.0.answer_within();
        let mut bytes = Vec::new();
        loop {
            let done = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let wanted = length.saturating_sub(done).min(PIECE);
            let request =
                Request::ReadProc { path: &path, at: at.saturating_add(done.into()), length: wanted };
            match self.0.ask(&request, &origin, until)? {
                Answer::Bytes(piece) => bytes.extend_from_slice(piece),
                answer => return Err(unexpected(&answer)),
            }
            let is_short = bytes.len() < done as usize + wanted as usize;
            if is_short || bytes.len() >= length as usize {
                return Ok(bytes);
            }
        }
    }

    /// Ends the reader; another is started when it is needed.
    pub fn rest(&mut self) {
        self.0.rest();
    }

    /// Finds the file at a place, and the source to hold responsible if it does not answer when the file is read.
    fn find(&mut self, place: FilePlace<'_>, until: Instant) -> Result<(Found, Origin), Refusal> {
        let way = Origin::of_way(place);
        if !self.0.quarantine().may_ask(way.source) {
            return Err(Refusal::Skipped);
        }
        self.0.start()?;
        let root;
        let request = match place {
            FilePlace::Link { link, .. } => Request::Find { root: None, path: link, follows_links: true },
            FilePlace::Own { path, follows_links } => Request::Find { root: None, path, follows_links },
            FilePlace::Seen { process, path } => {
                root = process.join("root");
                Request::Find { root: Some(&root), path, follows_links: false }
            }
        };
        let found = match self.0.ask(&request, &way, until)? {
            Answer::Found(found) => found,
            answer => return Err(unexpected(&answer)),
        };
        if matches!(way.source, Source::Paths { .. }) {
            self.0.quarantine().answered(way.source);
        }
        let source = Source::Device(found.device);
        if !self.0.quarantine().may_ask(source) {
            return Err(Refusal::Skipped);
        }
        Ok((found, Origin { source, mount: Some(found.mount), process: way.process }))
    }
}

#[cfg(test)]
mod tests;
