//! Asking a reader, and leaving one that does not answer.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Answer, Request};
use crate::origin::Origin;
use crate::process::{NoAnswer, ReaderProcess};
use crate::quarantine::Quarantine;
use crate::refusal::Refusal;

/// Longest to wait for one answer. A disk that has to spin up takes longer, and is asked again later.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The way to a reader, which is started when it is needed.
#[derive(Debug)]
pub(crate) struct Asker {
    quarantine: Arc<Quarantine>,
    reader: Option<ReaderProcess>,
    answer: Vec<u8>,
    answer_within: Duration,
    /// How long the answers for one file have taken.
    waited: Duration,
}

impl Asker {
    /// Without a reader yet.
    pub(crate) fn new(quarantine: Arc<Quarantine>) -> Self {
        Self {
            quarantine,
            reader: None,
            answer: Vec::new(),
            answer_within: ANSWER_WITHIN,
            waited: Duration::ZERO,
        }
    }

    /// What is known of sources that do not answer.
    pub(crate) fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The longest to wait for one answer.
    pub(crate) fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// Waits that long for each answer.
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

    /// The answers from now on are for another file.
    pub(crate) fn begin_file(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// The file that came with the last answer, if one did.
    pub(crate) fn take_shared(&mut self) -> Option<File> {
        self.reader.as_mut().and_then(ReaderProcess::take_shared).map(File::from)
    }

    /// The reader itself.
    #[cfg(test)]
    pub(crate) fn reader(&mut self) -> Option<&mut ReaderProcess> {
        self.reader.as_mut()
    }

    /// Has the reader close its file, and waits for nothing.
    pub(crate) fn let_go(&mut self) {
        if let Some(reader) = &self.reader {
            reader.note(&Request::LetGo);
        }
    }

    /// Asks the reader, unless it is too late for the file. A reader that does not answer is left, and what it was
    /// asked of is skipped for a while: if one answer does not come in time, or all together have taken as long as one
    /// may. What the agent itself takes between two questions is not held against a file system.
    pub(crate) fn ask(
        &mut self,
        request: &Request<'_>,
        origin: &Origin,
        until: Instant,
    ) -> Result<Answer<'_>, Refusal> {
        let Some(reader) = &mut self.reader else { return Err(Refusal::Silent) };
        let asked = Instant::now();
        if asked >= until && self.waited < self.answer_within {
            return Err(Refusal::TooLong);
        }
        let until = asked + if asked < until { self.answer_within } else { Duration::ZERO };
        // Asked for in two steps, since what is borrowed for an answer cannot be given back for a failure.
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
