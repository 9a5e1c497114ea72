//! Starts of components, which may open files that never answer, off the task that hears signals.

use std::time::Duration;

use tokio::task;
use tokio::time::timeout;

use crate::components::BoxError;

/// The longest time that an exporter has to start or to be checked.
pub(super) const EXPORTER_WITHIN: Duration = Duration::from_secs(10);

/// The longest time that an extension has to start: a storage waits for up to a minute until its directory is free.
pub(super) const EXTENSION_WITHIN: Duration = Duration::from_secs(70);

/// Runs `start` on a thread of its own, which is left if it takes longer than `limit`.
pub(super) async fn within<T: Send + 'static>(
    limit: Duration,
    start: impl FnOnce() -> Result<T, BoxError> + Send + 'static,
) -> Result<T, BoxError> {
    match timeout(limit, task::spawn_blocking(start)).await {
        Ok(result) => result.unwrap_or_else(|panic| Err(panic.into())),
        Err(_late) => Err(format!(
            "it takes longer than {limit:?}: a file that its configuration names may be a pipe, or on a file system \
             that does not answer; expected files of a local file system"
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_start_that_hangs_is_left() {
        assert_eq!(within(EXPORTER_WITHIN, || Ok(7)).await.unwrap(), 7);
        assert_eq!(within::<()>(EXPORTER_WITHIN, || Err("no".into())).await.unwrap_err().to_string(), "no");
        let (release, held) = mpsc::sync_channel::<()>(0);
        let hangs = move || {
            let _released = held.recv();
            Ok(())
        };
        let error = within(Duration::from_millis(10), hangs).await.unwrap_err();
        assert!(error.to_string().starts_with("it takes longer than 10ms"), "{error}");
        drop(release);
    }
}
