//! Where the seconds come from.

use super::attach::Attached;
use super::error::Cause;
use super::own::Own;
use super::update::Update;

/// Where the seconds come from.
#[derive(Debug)]
pub(super) enum Source {
    /// An agent that runs.
    Attached(Attached),
    /// An agent of this process.
    Own(Box<Own>),
}

impl Source {
    /// The next update. May be cancelled and called again.
    ///
    /// # Errors
    /// [`Cause`] if no more will come.
    pub(super) async fn next(&mut self) -> Result<Update, Cause> {
        match self {
            Self::Attached(attached) => attached.next().await,
            Self::Own(own) => own.next().await.map(Update::Report),
        }
    }

    /// What it is, in a few words.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Attached(attached) => attached.name(),
            Self::Own(_) => "own agent".to_owned(),
        }
    }

    /// Ends what runs in this process.
    ///
    /// # Errors
    /// [`Cause`] if that does not end well.
    pub(super) async fn end(self) -> Result<(), Cause> {
        match self {
            Self::Attached(_) => Ok(()),
            Self::Own(own) => own.end().await,
        }
    }
}
