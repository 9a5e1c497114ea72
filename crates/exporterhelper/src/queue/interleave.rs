//! Points at which another thread can come in between: a test lets it come in at each of them.

/// Called before the queue's lock is taken, which all that its two ends share is under.
#[cfg(not(test))]
pub(super) fn point() {}

#[cfg(test)]
pub(super) use tests::point;

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;

    /// The work of the other thread, and the points until it comes.
    struct Other {
        points: u64,
        act: Box<dyn FnOnce()>,
    }

    thread_local! {
        static OTHER: RefCell<Option<Other>> = const { RefCell::new(None) };
    }

    pub(in super::super) fn point() {
        // Out of its place while it runs: it passes points, too.
        match OTHER.take() {
            Some(Other { points: 0, act }) => act(),
            Some(Other { points, act }) => {
                OTHER.set(Some(Other { points: points - 1, act }));
            }
            None => {}
        }
    }

    /// Runs `act` on this thread, and `other` once `act` has passed that many points. True if there were as many.
    pub(in super::super) fn come_in_after<T>(
        points: u64,
        other: impl FnOnce() + 'static,
        act: impl FnOnce() -> T,
    ) -> (T, bool) {
        OTHER.set(Some(Other { points, act: Box::new(other) }));
        let result = act();
        (result, OTHER.take().is_none())
    }
}
