//! Messages that the agent sends to its watchers: lines of JSON.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::losses::LostRecords;
use crate::report::Report;
use crate::second::{SecondError, check_losses};

/// The version of the messages. A reader of another version cannot read them.
pub const VERSION: u32 = 1;
/// Longest line, in bytes. A full second takes less, even with names of 256 bytes each, all of them escaped.
pub const MAX_LINE: usize = 48 << 20;
/// Most stages, and most names of threads, of a report.
const MAX_STAGES: usize = 1_024;

/// A message from the agent to a watcher. A watcher sends no messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The first message to a watcher that may watch.
    Hello(Hello),
    /// The only message to a watcher that may not.
    Refused {
        /// The reason, in words.
        reason: String,
    },
    /// A second, with the state of the agent.
    Report(Box<Report>),
    /// Seconds before the next report that the watcher is not sent, since it did not keep up. Their number is 0 if only
    /// losses precede the report.
    Skipped {
        /// Number of skipped seconds.
        seconds: u64,
        /// Records lost in those seconds, by reason.
        #[serde(default)]
        lost: Vec<LostRecords>,
    },
}

/// The agent's greeting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the agent.
    pub version: u32,
    /// The agent's own version.
    pub agent: String,
    /// The agent's process.
    pub pid: u32,
    /// The instant at which the agent began to count losses, in nanoseconds of `CLOCK_MONOTONIC`: no two agents of a
    /// machine have the same.
    #[serde(default)]
    pub since: u64,
    /// Records lost since that instant and until the first second that the watcher will be sent, by reason. A watcher
    /// that was cut off, and attaches again, finds what was lost meanwhile by comparison.
    #[serde(default)]
    pub lost: Vec<LostRecords>,
}

/// A fault for which bytes are no message.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum MessageError {
    #[error("a line is longer than {MAX_LINE} bytes")]
    LongLine,
    #[error("a line is no message: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a line is no message: {0}")]
    Second(#[from] SecondError),
    #[error("a report has {0} stages, expected {MAX_STAGES} at most")]
    Stages(usize),
    #[error("the agent's messages are of version {0}, this program's of version {VERSION}")]
    Version(u32),
}

impl Message {
    /// The message as a line.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        // Every message can be encoded.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a line, with or without its end.
    ///
    /// # Errors
    /// [`MessageError`] if the line is no message, or one of another version.
    pub fn read(line: &[u8]) -> Result<Self, MessageError> {
        let message = serde_json::from_slice(line)?;
        match &message {
            Self::Hello(hello) if hello.version != VERSION => {
                return Err(MessageError::Version(hello.version));
            }
            Self::Report(report) => {
                report.second.check()?;
                let lists = [report.stages.len(), report.agent.threads.len()];
                if let Some(&many) = lists.iter().find(|&&many| many > MAX_STAGES) {
                    return Err(MessageError::Stages(many));
                }
            }
            Self::Skipped { lost, .. } | Self::Hello(Hello { lost, .. }) => check_losses(lost)?,
            Self::Refused { .. } => {}
        }
        Ok(message)
    }
}

/// Reads messages from bytes that arrive in any pieces.
#[derive(Debug, Default)]
pub struct MessageReader {
    held: Vec<u8>,
    /// Number of bytes of `held` that are known to have no end of a line.
    searched: usize,
}

impl MessageReader {
    /// Adds bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next message, if all of it has arrived.
    ///
    /// # Errors
    /// [`MessageError`] if the bytes are no message; nothing more can be read then.
    pub fn take(&mut self) -> Result<Option<Message>, MessageError> {
        let new = self.held.get(self.searched..).unwrap_or_default();
        let Some(end) = new.iter().position(|&byte| byte == b'\n') else {
            self.searched = self.held.len();
            return if self.held.len() > MAX_LINE { Err(MessageError::LongLine) } else { Ok(None) };
        };
        let line: Vec<u8> = self.held.drain(..=self.searched + end).collect();
        self.searched = 0;
        if line.len() > MAX_LINE { Err(MessageError::LongLine) } else { Message::read(&line).map(Some) }
    }
}
