//! Progress of the requests on which two threads work, and which of them have been answered whole.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use foldhash::HashMap;

use crate::fair::User;

/// The most jobs for lines that may wait, and the most of one user.
pub(crate) const MOST_LINE_JOBS: usize = 64;
const MOST_OF_USER: usize = 32;

/// The progress of all requests.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last request whose names have all been looked up, with those before it.
    named: u64,
    /// Jobs for lines that are not done, by the request that they are part of.
    jobs: BTreeMap<u64, usize>,
    /// Jobs for lines that are not done, by user.
    users: HashMap<User, usize>,
}

impl Progress {
    /// Adds a job for lines of a request; false if too many wait.
    pub(crate) fn begin(&self, ticket: u64, user: User) -> bool {
        self.with(|state| {
            let of_user = state.users.get(&user).copied().unwrap_or(0);
            let has_room = state.users.values().sum::<usize>() < MOST_LINE_JOBS && of_user < MOST_OF_USER;
            if has_room {
                *state.jobs.entry(ticket).or_default() += 1;
                state.users.insert(user, of_user + 1);
            }
            has_room
        })
    }

    /// Notes that a job for lines is done.
    pub(crate) fn end(&self, ticket: u64, user: User) {
        self.with(|state| {
            take_one(state.jobs.get_mut(&ticket));
            take_one(state.users.get_mut(&user));
            state.jobs.retain(|_, jobs| *jobs > 0);
            state.users.retain(|_, jobs| *jobs > 0);
        });
    }

    /// Notes that no job for lines will be done any more.
    pub(crate) fn abandon(&self) {
        self.with(|state| (state.jobs, state.users) = (BTreeMap::new(), HashMap::default()));
    }

    /// Notes that names have been looked up for all requests up to `ticket`.
    pub(crate) fn named(&self, ticket: u64) {
        self.with(|state| state.named = state.named.max(ticket));
    }

    /// The last request that has been answered whole, with those before it.
    pub(crate) fn answered(&self) -> u64 {
        self.with(|state| match state.jobs.first_key_value() {
            Some((first, _)) => state.named.min(first.saturating_sub(1)),
            None => state.named,
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn take_one(count: Option<&mut usize>) {
    if let Some(count) = count {
        *count = count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use pdata::Uid;

    use super::*;

    #[test]
    fn a_request_is_answered_when_its_names_and_its_lines_are_there() {
        let progress = Progress::default();
        assert!(progress.begin(3, None) && progress.begin(3, None) && progress.begin(5, None));
        progress.named(2);
        assert_eq!(progress.answered(), 2);
        progress.named(6);
        assert_eq!(progress.answered(), 2);
        progress.end(3, None);
        assert_eq!(progress.answered(), 2);
        progress.end(3, None);
        assert_eq!(progress.answered(), 4);
        progress.end(5, None);
        assert_eq!(progress.answered(), 6);
    }

    #[test]
    fn many_jobs_of_one_user_leave_room_for_those_of_another() {
        let (progress, greedy) = (Progress::default(), Some(Uid(1)));
        let taken = (0..100).filter(|_| progress.begin(1, greedy)).count();
        assert_eq!(taken, MOST_OF_USER);
        assert!(progress.begin(1, Some(Uid(2))));
        assert_eq!(
            (0..100).filter(|user| progress.begin(2, Some(Uid(user + 10)))).count(),
            MOST_LINE_JOBS - MOST_OF_USER - 1
        );
        progress.abandon();
        progress.named(9);
        assert!(progress.answered() == 9 && progress.begin(10, greedy));
    }
}
