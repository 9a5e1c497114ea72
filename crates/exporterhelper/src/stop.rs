//! The signal that the stream has ended.

use tokio_util::sync::CancellationToken;

/// A signal that the queue sets when the stream has ended: a retry that waits is then made at once, and is the last.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Marks the stream as ended.
    pub(crate) fn end(&self) {
        self.0.cancel();
    }

    /// True once the stream has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the stream has ended.
    pub async fn ended(&self) {
        self.0.cancelled().await;
    }
}
