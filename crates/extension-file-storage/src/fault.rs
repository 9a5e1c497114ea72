//! Steps that change a file or a directory, at any of which a test can have the agent killed.

use std::io;

/// Called before each step that changes a file or a directory; after an error the step must not be taken.
///
/// # Errors
/// Never, save in tests.
#[cfg(not(test))]
pub(crate) fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use tests::step;

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use tempfile::TempDir;

    use super::io;

    /// The fault of this thread's steps.
    #[derive(Clone, Copy, Default)]
    enum Fault {
        #[default]
        None,
        /// After so many steps none is taken.
        Killed(u64),
        /// After so many steps one fails.
        Broken(u64),
    }

    thread_local! {
        static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
        static LINKS: Cell<bool> = const { Cell::new(true) };
    }

    pub(crate) fn step() -> io::Result<()> {
        match FAULT.get() {
            Fault::None => Ok(()),
            Fault::Killed(0) => Err(io::Error::other("killed")),
            Fault::Broken(0) => {
                FAULT.set(Fault::None);
                Err(io::Error::other("broken"))
            }
            Fault::Killed(left) => {
                FAULT.set(Fault::Killed(left - 1));
                Ok(())
            }
            Fault::Broken(left) => {
                FAULT.set(Fault::Broken(left - 1));
                Ok(())
            }
        }
    }

    /// A directory in memory, where syncing takes no time: these tests sync thousands of times.
    pub(crate) fn in_memory() -> TempDir {
        TempDir::new_in("/dev/shm").or_else(|_none| TempDir::new()).unwrap()
    }

    /// Runs `act` but takes only the first `steps` of its steps on this thread. True if there were more.
    pub(crate) fn kill_after(steps: u64, act: impl FnOnce()) -> bool {
        FAULT.set(Fault::Killed(steps));
        act();
        matches!(FAULT.take(), Fault::Killed(0))
    }

    /// Runs `act`; the step after the first `steps` of its steps on this thread fails. True if there was one.
    pub(crate) fn break_once(steps: u64, act: impl FnOnce()) -> bool {
        FAULT.set(Fault::Broken(steps));
        act();
        matches!(FAULT.take(), Fault::None)
    }

    /// Runs `act` as on a file system that gives no file a second name.
    pub(crate) fn without_links<T>(act: impl FnOnce() -> T) -> T {
        LINKS.set(false);
        let result = act();
        LINKS.set(true);
        result
    }

    /// True if a file may have a second name.
    pub(crate) fn has_links() -> bool {
        LINKS.get()
    }
}
