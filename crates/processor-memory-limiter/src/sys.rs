//! The allocator's one call: all that is unsafe here.
#![allow(unsafe_code, reason = "malloc_trim has no safe binding")]

/// Has the allocator give free memory back to the kernel: without it, the resident set stays where it was at its worst.
///
/// Returns free memory to the system, as the Collector does by a garbage collection. Takes the locks of the allocator
/// for as long as that takes, some milliseconds.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes no pointer, and may be called at any time from any thread (malloc_trim(3): MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}
