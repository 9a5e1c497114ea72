//! Memory that starting took and running does not need.

use std::time::Duration;

use processor_memory_limiter::allocator::release_free_memory;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// When free memory goes back to the kernel after a start: at once, since the kernel's types alone take some 20 MiB
/// while the BPF object is loaded, and when the files of what ran before have been read.
const AFTER: [Duration; 2] = [Duration::ZERO, Duration::from_secs(30)];

/// Returns what a start has left free, on other threads than those that run the pipelines.
pub(super) fn settle() {
    tokio::spawn(async {
        for after in AFTER {
            sleep(after).await;
            let _ended = spawn_blocking(release_free_memory).await;
        }
    });
}
