//! Build IDs that wait to be asked about.

use std::collections::VecDeque;

use foldhash::HashMap;
use pdata::Uid;

use crate::build_id::GnuBuildId;

/// The most build IDs that wait, and the most of one user's programs.
const MOST: usize = 1024;
const MOST_OF_USER: usize = MOST / 2;

/// A bounded queue in which users have turns: the programs of one do not keep those of another waiting.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<(Option<Uid>, GnuBuildId)>,
    /// The turn that each user who waits had last.
    served: HashMap<Option<Uid>, u64>,
    turns: u64,
}

impl Queue {
    /// Adds a build ID of a user's program; false if too many wait.
    pub(crate) fn push(&mut self, user: Option<Uid>, id: GnuBuildId) -> bool {
        let of_user = self.waiting.iter().filter(|(other, _)| *other == user).count();
        let has_room = self.waiting.len() < MOST && of_user < MOST_OF_USER;
        if has_room {
            self.waiting.push_back((user, id));
        }
        has_room
    }

    /// The oldest build ID of the user whose last turn is the longest ago.
    pub(crate) fn pop(&mut self) -> Option<GnuBuildId> {
        self.served.retain(|user, _| self.waiting.iter().any(|(other, _)| other == user));
        let served = |user: &Option<Uid>| self.served.get(user).copied().unwrap_or(0);
        let places = self.waiting.iter().enumerate();
        let (place, _) = places.min_by_key(|(place, (user, _))| (served(user), *place))?;
        let (user, id) = self.waiting.remove(place)?;
        self.turns += 1;
        self.served.insert(user, self.turns);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u16) -> GnuBuildId {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&number.to_le_bytes());
        GnuBuildId::new(&bytes).unwrap()
    }

    #[test]
    fn many_of_one_user_leave_room_for_those_of_another_who_has_the_next_turn() {
        let (mut queue, greedy, other) = (Queue::default(), Some(Uid(1)), Some(Uid(2)));
        let taken = (0..2000).filter(|&number| queue.push(greedy, id(number))).count();
        assert_eq!(taken, MOST_OF_USER);
        assert!(queue.push(other, id(3000)) && queue.push(None, id(3001)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order[..4], [0, 3000, 3001, 1].map(id));
        assert_eq!(order.len(), MOST_OF_USER + 2);
        let all = (0..4000_u16).filter(|&number| queue.push(Some(Uid(number.into())), id(number))).count();
        assert_eq!(all, MOST);
    }
}
