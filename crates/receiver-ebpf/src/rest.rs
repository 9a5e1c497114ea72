//! The reader's rest, which a request or a record of the kernel side can cut short.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};

/// Wakes the reader from its rest. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker that nobody rests on yet.
    ///
    /// # Errors
    /// The error of eventfd(2), as where no descriptor is left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Ends the rest that goes on now, or the next one before it begins. What was stored before this call is visible to
    /// the thread that it wakes.
    pub(crate) fn wake(&self) {
        // The write can only fail if the counter is full, and then the wake-up is due anyway.
        let _full = write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Takes the wake-up, if one is due.
    fn take(&self) -> bool {
        read(&*self.0, &mut [0_u8; 8]).is_ok()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The event that ended a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A request, by a [`Waker`].
    Request,
    /// A record that the kernel side submitted with a wake-up.
    Record,
    /// The end of the longest time.
    Time,
}

/// Rests for `longest`, or until `waker` wakes the thread. A record in `wakeups` ends the rest too, but not before
/// `shortest`: many records cost no more polls than none.
pub(crate) fn rest(waker: &Waker, wakeups: &impl AsFd, shortest: Duration, longest: Duration) -> End {
    let start = Instant::now();
    if !shortest.is_zero() {
        let [request] = wait([PollFd::new(waker, PollFlags::IN)], shortest.min(longest));
        if request && waker.take() {
            return End::Request;
        }
    }
    let left = longest.saturating_sub(start.elapsed());
    if left.is_zero() {
        return End::Time;
    }
    let ends = [PollFd::new(waker, PollFlags::IN), PollFd::new(wakeups, PollFlags::IN)];
    let [request, record] = wait(ends, left);
    match (request && waker.take(), record) {
        (true, _) => End::Request,
        (false, true) => End::Record,
        (false, false) => End::Time,
    }
}

/// Waits until a descriptor is readable or the time is over, or returns early; returns which descriptors are readable.
fn wait<const N: usize>(mut descriptors: [PollFd<'_>; N], time: Duration) -> [bool; N] {
    let timeout = Timespec::try_from(time).ok();
    if let Err(error) = poll(&mut descriptors, timeout.as_ref())
        && error != Errno::INTR
    {
        // The wait has failed (no memory, or no such descriptor): a loop without a rest would take a whole CPU.
        thread::sleep(time);
    }
    descriptors.map(|descriptor| !descriptor.revents().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(60);

    fn wakeups() -> OwnedFd {
        eventfd(0, EventfdFlags::NONBLOCK).unwrap()
    }

    #[test]
    fn a_request_ends_a_rest_even_if_it_came_before() {
        let (waker, wakeups) = (Waker::new().unwrap(), wakeups());
        waker.wake();
        waker.wake();
        assert_eq!(rest(&waker, &wakeups, NEVER, NEVER), End::Request);
        let other = waker.clone();
        let thread = thread::spawn(move || other.wake());
        assert_eq!(rest(&waker, &wakeups, Duration::ZERO, NEVER), End::Request);
        thread.join().unwrap();
    }

    #[test]
    fn a_record_ends_a_rest_but_not_before_the_shortest_time() {
        let (waker, wakeups, shortest) = (Waker::new().unwrap(), wakeups(), Duration::from_millis(20));
        write(&wakeups, &1_u64.to_ne_bytes()).unwrap();
        let start = Instant::now();
        assert_eq!(rest(&waker, &wakeups, shortest, NEVER), End::Record);
        assert!(start.elapsed() >= shortest);
    }

    #[test]
    fn time_ends_a_rest_of_its_own() {
        let (waker, wakeups, time) = (Waker::new().unwrap(), wakeups(), Duration::from_millis(5));
        assert_eq!(rest(&waker, &wakeups, Duration::ZERO, time), End::Time);
        assert_eq!(rest(&waker, &wakeups, time, time), End::Time);
    }
}
