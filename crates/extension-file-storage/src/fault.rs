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

    use super::io;

    thread_local! {
        static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    pub(crate) fn step() -> io::Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other("killed")),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }

    /// Runs `act` but takes only the first `steps` of its steps on this thread. True if there were more.
    pub(crate) fn kill_after(steps: u64, act: impl FnOnce()) -> bool {
        LEFT.set(Some(steps));
        act();
        LEFT.replace(None) == Some(0)
    }
}
