//! Memory that a start needs and running does not.

use std::time::Duration;

use processor_memory_limiter::allocator::release_free_memory;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Times after a start at which free memory is returned to the kernel: at once, since the kernel's types alone take
/// some 20 MiB while the BPF object is loaded; and when the files of all running processes have been read.
const AFTER: [Duration; 2] = [Duration::ZERO, Duration::from_secs(30)];

/// Returns the memory that a start has freed to the kernel, on other threads than those that run the pipelines.
pub(super) fn settle() {
    tokio::spawn(async {
        for after in AFTER {
            sleep(after).await;
            let _ended = spawn_blocking(release_free_memory).await;
        }
    });
}
