//! Repair from `/proc` of processes whose records were lost.

use std::collections::VecDeque;

use pdata::{ImageKey, ImageKind, KTime, Watermark};

use super::Tracker;
use super::lifecycle::user;
use crate::context_watch::ContextFound;
use crate::metrics;
use crate::reader::{Looked, ProcessAnswer};
use crate::request::{ProcessRequest, ReadRequest, Reads};
use procfs::{ProcError, Snapshot};

/// Answers of the reading thread, until the events have caught up with them.
///
/// `/proc` does not hold exec counts. An answer is about the image in the request unless the process has execed before
/// `/proc` was read; so the answer waits until the watermark has passed the reading, and is of no use if an exec has
/// been reported by then.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Answers in the order in which they were read.
    waiting: VecDeque<ProcessAnswer>,
}

impl Repairs {
    pub(crate) fn push(&mut self, answer: ProcessAnswer) {
        self.waiting.push_back(answer);
    }

    /// Applies the answers that events have caught up with.
    pub(crate) fn apply(&mut self, watermark: Watermark, tracker: &mut Tracker) {
        while self.waiting.front().is_some_and(|answer| watermark.covers(answer.before))
            && let Some(answer) = self.waiting.pop_front()
        {
            if let Some(outcome) = tracker.repair(&answer) {
                metrics::repair(outcome);
            }
        }
    }
}

impl Tracker {
    /// Asks for the environment of an image of which no exec was seen: later, if it cannot be read now or too many
    /// others wait.
    pub(super) fn ask_environment(
        &mut self,
        request: ProcessRequest,
        is_there: bool,
        reads: &mut impl Reads,
    ) {
        let (key, image) = (request.image.process, request.image.exec_count);
        if self.table.is_running(key)
            && let Some(process) = self.table.get_mut(key)
            && process.may_ask_environment(image)
        {
            let asked = is_there && reads.ask(ReadRequest::Environment(request));
            process.environment_asked(image, asked);
        }
    }

    /// Remembers the variables and arguments of an image's program; the image is then described anew. Returns the
    /// outcome, the metric label `outcome`.
    fn learn(&mut self, image: ImageKey, read: &Result<(Vec<u8>, Vec<u8>), ProcError>) -> &'static str {
        match read {
            Ok((variables, arguments)) => {
                self.give_arguments(image, arguments);
                let Some(process) = self.table.get_mut(image.process) else { return "exited" };
                process.set_environment(image.exec_count, variables.as_slice().into());
                let has_more = !variables.is_empty() || process.arguments(image.exec_count).is_some();
                if has_more && let Some(known) = process.images.get(image.exec_count).cloned() {
                    process.images.redescribe(image.exec_count, known);
                }
                "read"
            }
            Err(ProcError::Ended | ProcError::Gone) => "ended",
            Err(ProcError::Parse(_) | ProcError::Read(_)) => "unreadable",
        }
    }

    /// Asks for a search for the context of an image that is sampled, if one is due.
    pub(super) fn ask_context(&mut self, request: ProcessRequest, at: KTime, reads: &mut impl Reads) {
        let (key, image) = (request.image.process, request.image.exec_count);
        if self.table.is_running(key)
            && let Some(process) = self.table.get_mut(key)
            && !process.images.has_newer(image)
            && process.context.is_due(image, at)
        {
            match reads.ask(ReadRequest::Context(request, process.context.known())) {
                true => process.context.asked(),
                false => process.context.refused(at),
            }
        }
    }

    /// Takes the result of a search for an image's context; the image is then described anew. Returns the outcome, the
    /// metric label `outcome`.
    fn found(&mut self, answer: &ProcessAnswer, found: &Result<ContextFound, ProcError>) -> &'static str {
        let image = answer.image;
        let Some(process) = self.table.get_mut(image.process) else { return "exited" };
        let changes = process.context.found(image.exec_count, answer.before, found.as_ref().ok().cloned());
        if changes && let Some(known) = process.images.get(image.exec_count).cloned() {
            process.images.redescribe(image.exec_count, known);
        }
        match found {
            Ok(ContextFound::Published(_)) => "read",
            Ok(ContextFound::Unchanged) => "unchanged",
            Ok(ContextFound::Nothing) => "none",
            Err(ProcError::Ended | ProcError::Gone) => "ended",
            Err(ProcError::Parse(_) | ProcError::Read(_)) => "unreadable",
        }
    }

    /// Asks `/proc` about a process with missing facts, unless that cannot help.
    pub(super) fn ask_repair(&mut self, request: ProcessRequest, reads: &mut impl Reads) {
        let (key, image) = (request.image.process, request.image.exec_count);
        if self.table.is_running(key)
            && let Some(process) = self.table.get_mut(key)
            && process.may_repair(image)
            && reads.ask(ReadRequest::Process(request))
        {
            process.repair_asked(image);
        }
    }

    /// Uses an answer. Returns the outcome, the metric label `outcome`, if the process was repaired by it.
    fn repair(&mut self, answer: &ProcessAnswer) -> Option<&'static str> {
        let image = answer.image;
        if let Looked::Context(found) = &answer.outcome {
            metrics::context_look(self.found(answer, found));
            return None;
        }
        let running = self.table.is_running(image.process);
        let Some(process) = self.table.get_mut(image.process) else {
            match answer.outcome {
                Looked::Process(_) => return Some("exited"),
                Looked::Environment(_) => metrics::environment_read("exited"),
                Looked::Context(_) => {}
            }
            return None;
        };
        let execed = process.images.has_newer(image.exec_count);
        let outcome = match &answer.outcome {
            Looked::Process(outcome) => outcome,
            Looked::Context(_) => return None,
            // The environment may be of either image.
            Looked::Environment(_) if execed => {
                metrics::environment_read("execed");
                return None;
            }
            Looked::Environment(outcome) => {
                metrics::environment_read(self.learn(image, outcome));
                return None;
            }
        };
        process.repair_answered();
        let unknown = process.images.is_empty();
        let became = match outcome {
            _ if !running => "exited",
            _ if execed => "execed",
            Ok(snapshot) => {
                self.fill(image, snapshot);
                "repaired"
            }
            Err(ProcError::Ended) => {
                if unknown {
                    // Nobody knows anything of it: its exit must have been lost as well.
                    self.tally.lost_exits += 1;
                    self.table.freed(image.process, answer.before);
                }
                "ended"
            }
            Err(ProcError::Gone) => "exiting",
            Err(error @ (ProcError::Parse(_) | ProcError::Read(_))) => {
                tracing::debug!(pid = image.process.pid.0, %error, "Cannot look up a process.");
                "unreadable"
            }
        };
        Some(became)
    }

    /// Adds the facts that `/proc` showed of an image, where none are known.
    fn fill(&mut self, image: ImageKey, snapshot: &Snapshot) {
        let kind = match &snapshot.executable {
            Some(executable) => user(executable, None),
            None => ImageKind::Kernel(snapshot.comm),
        };
        self.seen(image, KTime::ZERO, kind);
    }
}
