//! Askers: they send requests to a reader, and leave a reader that does not answer.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Answer, Request};
use crate::origin::Origin;
use crate::process::{NoAnswer, ReaderProcess};
use crate::quarantine::Quarantine;
use crate::refusal::Refusal;

/// The longest time to wait for one answer. A disk that has to spin up takes longer, and is asked again later.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The way to a reader, which is started when it is needed.
#[derive(Debug)]
pub(crate) struct Asker {
    quarantine: Arc<Quarantine>,
    reader: Option<ReaderProcess>,
    answer: Vec<u8>,
    answer_within: Duration,
    /// The time that the answers for one file have taken so far.
    waited: Duration,
}

impl Asker {
    /// An asker without a reader yet.
    pub(crate) fn new(quarantine: Arc<Quarantine>) -> Self {
        Self {
            quarantine,
            reader: None,
            answer: Vec::new(),
            answer_within: ANSWER_WITHIN,
            waited: Duration::ZERO,
        }
    }

    /// The sources that do not answer, and the readers left with them.
    pub(crate) fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The longest time to wait for one answer.
    pub(crate) fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// Sets the longest time to wait for one answer.
    pub(crate) fn wait_for_answers(&mut self, answer_within: Duration) {
        self.answer_within = answer_within;
    }

    /// Starts a reader if there is none.
    pub(crate) fn start(&mut self) -> Result<(), Refusal> {
        if self.reader.is_none() {
            self.reader = Some(ReaderProcess::start().map_err(Refusal::NoReader)?);
        }
        Ok(())
    }

    /// Ends the reader.
    pub(crate) fn rest(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.quarantine.end(reader.leave());
        }
    }

    /// Starts another file: the time of the answers so far does not count for it.
    pub(crate) fn begin_file(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// The file that came with the last answer, if one did.
    pub(crate) fn take_shared(&mut self) -> Option<File> {
        self.reader.as_mut().and_then(ReaderProcess::take_shared).map(File::from)
    }

    /// The reader itself, if there is one.
    #[cfg(test)]
    pub(crate) fn reader(&mut self) -> Option<&mut ReaderProcess> {
        self.reader.as_mut()
    }

    /// Has the reader close its file, without waiting for an answer.
    pub(crate) fn let_go(&mut self) {
        if let Some(reader) = &self.reader {
            reader.note(&Request::LetGo);
        }
    }

    /// Asks the reader, unless it is too late for the file. A reader that does not answer is left, and the source that
    /// it was to read is skipped for a while: if one answer does not come in time, or all together have taken as long
    /// as one may. The time that the agent itself takes between two requests is not held against a file system.
    pub(crate) fn ask(
        &mut self,
        request: &Request<'_>,
        origin: &Origin,
        until: Instant,
    ) -> Result<Answer<'_>, Refusal> {
        self.ask_with((request, None), origin, until)
    }

    /// Asks as [`ask`](Self::ask) does, and sends a file with the request.
    pub(crate) fn ask_with(
        &mut self,
        request: (&Request<'_>, Option<BorrowedFd<'_>>),
        origin: &Origin,
        until: Instant,
    ) -> Result<Answer<'_>, Refusal> {
        let Some(reader) = &mut self.reader else { return Err(Refusal::Silent) };
        let asked = Instant::now();
        if asked >= until && self.waited < self.answer_within {
            return Err(Refusal::TooLong);
        }
        let until = asked + if asked < until { self.answer_within } else { Duration::ZERO };
        // The answer is parsed in a second step, since a borrow of it for a success could not be ended for a failure.
        let answered = reader.ask(request, &mut self.answer, until);
        self.waited += asked.elapsed();
        let failure = match answered {
            Ok(length) => match self.answer.get(..length).and_then(Answer::parse) {
                Some(answer) => return Ok(answer),
                None => NoAnswer::Gone,
            },
            Err(failure) => failure,
        };
        let Some(reader) = self.reader.take() else { return Err(Refusal::Silent) };
        match failure {
            NoAnswer::Silent => {
                let name = origin.name();
                let skip = self.quarantine.silent(origin.source, name.clone(), reader.leave());
                tracing::warn!(
                    file_system = name,
                    skipped_for = ?skip,
                    "A file system does not answer: its files are not read for a while."
                );
                Err(Refusal::Silent)
            }
            NoAnswer::Gone => {
                self.quarantine.end(reader.leave());
                Err(Refusal::NoReader(io::ErrorKind::ConnectionReset.into()))
            }
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.rest();
    }
}
