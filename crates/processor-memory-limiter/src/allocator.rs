//! Requests to the allocator, which are all the unsafe code of the crate.
#![allow(unsafe_code, reason = "malloc_trim and mallopt have no safe binding")]

/// Size in bytes from which on blocks are mappings of their own, which the kernel gets back as soon as they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_MAPPING_BYTES: libc::c_int = 256 << 10;

/// Keeps the allocator from holding on to the memory of freed large blocks: by itself it takes a large block that is
/// freed for a sign that more will come, and keeps up to 64 MiB for each thread. Must be called before there are other
/// threads.
pub fn bound_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: mallopt takes no pointer, and both parameters take any positive number (mallopt(3)).
        let _set = unsafe { libc::mallopt(parameter, OWN_MAPPING_BYTES) };
    }
}

/// Returns the allocator's free memory to the kernel, as the Collector does by a garbage collection. Without this call
/// the resident set stays where it was at its worst.
///
/// Takes the locks of the allocator for some milliseconds.
pub fn release_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes no pointer, and may be called at any time from any thread (malloc_trim(3): MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}
