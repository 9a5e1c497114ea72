//! The runtime that everything runs on.

use std::future::Future;
use std::io;
use std::time::Duration;

use processor_memory_limiter::allocator::bound_free_memory;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime;

/// Worker threads of the runtime: one must be left if an exporter keeps another busy. The receiver reads the kernel's
/// rings on a thread of its own.
const WORKERS: usize = 2;

/// Longest time to wait at the end for a thread that is stuck, in a write for example.
pub const EXIT_WITHIN: Duration = Duration::from_secs(1);

/// Runs `work` to its end, on a runtime of its own.
///
/// # Errors
/// The operating system's error, if the runtime cannot be started.
pub fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    raise_descriptors();
    bound_free_memory();
    let runtime = runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(EXIT_WITHIN);
    Ok(result)
}

/// Raises this process's limit of descriptors to the highest that it may set: the usual limit of 1,024 is for programs
/// that use select(2), and a timer on each CPU takes one.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // If the limit cannot be raised, the receiver checks whether it suffices.
        let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
