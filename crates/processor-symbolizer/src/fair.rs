//! Choice of the things that make room when there are too many: those that one user has had read do not crowd out
//! another's.

use foldhash::HashMap;
use pdata::Uid;

/// The user who runs a program; `None` where the kernel did not report one.
pub(crate) type User = Option<Uid>;

/// A thing that is held because of a user's program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding<K> {
    pub(crate) key: K,
    pub(crate) user: User,
    /// Room that the thing takes.
    pub(crate) weight: usize,
    /// Time when the thing was last used, by the holder's own count.
    pub(crate) used: u64,
    /// True if the thing only counts, and cannot make room.
    pub(crate) stays: bool,
}

/// The order in which things make room: each time, of the user who holds the most, the one used longest ago.
#[derive(Debug)]
pub(crate) struct Leaving<K> {
    users: Vec<Share<K>>,
}

/// The things that one user holds.
#[derive(Debug)]
struct Share<K> {
    weight: usize,
    /// Things that can make room, the one used longest ago last.
    holdings: Vec<Holding<K>>,
}

impl<K> Default for Share<K> {
    fn default() -> Self {
        Self { weight: 0, holdings: Vec::new() }
    }
}

impl<K> Leaving<K> {
    pub(crate) fn of(held: impl IntoIterator<Item = Holding<K>>) -> Self {
        let mut users: HashMap<User, Share<K>> = HashMap::default();
        for holding in held {
            let share = users.entry(holding.user).or_default();
            share.weight += holding.weight;
            if !holding.stays {
                share.holdings.push(holding);
            }
        }
        let mut users: Vec<_> = users.into_values().filter(|share| !share.holdings.is_empty()).collect();
        for share in &mut users {
            share.holdings.sort_unstable_by_key(|holding| std::cmp::Reverse(holding.used));
        }
        Self { users }
    }
}

impl<K> Iterator for Leaving<K> {
    type Item = K;

    fn next(&mut self) -> Option<K> {
        let with_some = self.users.iter_mut().filter(|share| !share.holdings.is_empty());
        // Of two users who hold alike, the one whose holding was used longest ago.
        let oldest = |share: &Share<K>| share.holdings.last().map_or(0, |holding| holding.used);
        let share = with_some.max_by_key(|share| (share.weight, std::cmp::Reverse(oldest(share))))?;
        let leaves = share.holdings.pop()?;
        share.weight -= leaves.weight;
        Some(leaves.key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holding(key: usize, user: u32, weight: usize, used: u64) -> Holding<usize> {
        Holding { key, user: Some(Uid(user)), weight, used, stays: false }
    }

    #[test]
    fn whoever_holds_the_most_makes_room_until_others_hold_as_much() {
        let held = [
            holding(0, 1, 1, 1),
            holding(1, 2, 1, 4),
            holding(2, 2, 1, 3),
            holding(3, 2, 1, 2),
            holding(4, 1, 1, 5),
        ];
        assert_eq!(Leaving::of(held).collect::<Vec<_>>(), [3, 0, 2, 1, 4]);
        let stays = Holding { stays: true, ..holding(9, 1, 9, 9) };
        assert_eq!(Leaving::of(held.into_iter().chain([stays])).collect::<Vec<_>>(), [0, 4, 3, 2, 1]);
    }

    proptest! {
        /// Each holding that can leave does, once; a user who holds no more than an equal part of the
        /// rest loses nothing to others.
        #[test]
        fn equal_parts_are_safe(all in prop::collection::vec((0..4_u32, 1..9_usize, any::<u64>()), 0..40)) {
            let held: Vec<_> =
                all.iter().enumerate().map(|(key, &(user, weight, used))| holding(key, user, weight, used)).collect();
            let mut shares = [0; 4];
            held.iter().for_each(|of| shares[of.user.unwrap().0 as usize] += of.weight);
            let mut left = held.clone();
            for key in Leaving::of(held.clone()) {
                let leaves = left.remove(left.iter().position(|of| of.key == key).unwrap());
                let user = leaves.user.unwrap().0 as usize;
                prop_assert_eq!(shares[user], *shares.iter().max().unwrap());
                prop_assert!(left.iter().all(|of| of.user != leaves.user || of.used >= leaves.used));
                shares[user] -= leaves.weight;
            }
            prop_assert!(left.is_empty());
        }
    }
}
