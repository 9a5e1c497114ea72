//! The word that the stream has ended.

use tokio_util::sync::CancellationToken;

/// Told by the queue when the stream has ended: whoever waits to try again tries one last time at once.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Says it.
    pub(crate) fn tell(&self) {
        self.0.cancel();
    }

    /// True once it has been said.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is said.
    pub async fn told(&self) {
        self.0.cancelled().await;
    }
}
