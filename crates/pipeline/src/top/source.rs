//! The source of the seconds.

use super::attach::Attached;
use super::error::Cause;
use super::own::Own;
use super::update::Update;

/// The source of the seconds.
#[derive(Debug)]
pub(super) enum Source {
    /// An agent that runs here.
    Attached(Box<Attached>),
    /// An agent in this process.
    Own(Box<Own>),
}

impl Source {
    /// The next update. May be cancelled and called again.
    ///
    /// # Errors
    /// [`Cause`] if no more seconds will come.
    pub(super) async fn next(&mut self) -> Result<Update, Cause> {
        match self {
            Self::Attached(attached) => attached.next().await,
            Self::Own(own) => own.next().await.map(Update::Report),
        }
    }

    /// The name of the source, as a short text.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Attached(attached) => attached.name(),
            Self::Own(_) => "own agent".to_owned(),
        }
    }

    /// Ends the agent if it runs in this process.
    ///
    /// # Errors
    /// [`Cause`] if the agent does not end well.
    pub(super) async fn end(self) -> Result<(), Cause> {
        match self {
            Self::Attached(_) => Ok(()),
            Self::Own(own) => own.end().await,
        }
    }
}
