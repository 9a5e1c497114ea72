//! Turns: a queue in which users with much waiting do not hold up those with little.

use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::HashMap;

/// Values by key, each of which has its turn before any has its next.
#[derive(Debug)]
struct Circle<K, V> {
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Hash + Eq + Copy, V: Default> Circle<K, V> {
    /// The value of a key. A new value has its turn last.
    fn of(&mut self, key: K) -> &mut V {
        self.values.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            V::default()
        })
    }

    /// Takes a part of the value whose turn it is; `take` also returns true if nothing is left of the value.
    fn take<T>(&mut self, take: impl FnOnce(&mut V) -> (Option<T>, bool)) -> Option<T> {
        let key = self.order.pop_front()?;
        let (taken, is_over) = self.values.get_mut(&key).map(take)?;
        if is_over {
            self.values.remove(&key);
        } else {
            self.order.push_back(key);
        }
        taken
    }
}

impl<K, V> Default for Circle<K, V> {
    fn default() -> Self {
        Self { values: HashMap::default(), order: VecDeque::new() }
    }
}

/// Items by user, and of each user by the file that they are due to: users have turns, and so has each file of a user.
#[derive(Debug)]
pub(crate) struct Turns<U, F, T> {
    users: Circle<U, Circle<F, VecDeque<T>>>,
}

impl<U: Hash + Eq + Copy, F: Hash + Eq + Copy, T> Turns<U, F, T> {
    /// Takes in an item.
    pub(crate) fn push(&mut self, (user, due_to): (U, F), item: T) {
        self.users.of(user).of(due_to).push_back(item);
    }

    /// Takes the item whose turn it is.
    pub(crate) fn next(&mut self) -> Option<T> {
        self.users.take(|user| {
            let taken = user.take(|items| (items.pop_front(), items.is_empty()));
            (taken, user.values.is_empty())
        })
    }

    /// True if no item waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.values.is_empty()
    }
}

impl<U, F, T> Default for Turns<U, F, T> {
    fn default() -> Self {
        Self { users: Circle::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn much_of_one_does_not_hold_up_little_of_another() {
        let mut turns = Turns::default();
        (0..5).for_each(|item| turns.push((1, 'a'), item));
        turns.push((1, 'b'), 10);
        turns.push((2, 'c'), 20);
        let order: Vec<u32> = std::iter::from_fn(|| turns.next()).collect();
        assert_eq!(order, [0, 20, 10, 1, 2, 3, 4]);
        assert!(turns.is_empty());
    }

    proptest! {
        /// Whatever comes leaves once, and items that are due to one thing leave in the order in which they came.
        #[test]
        fn all_leaves_in_its_order(pushes in proptest::collection::vec((0u8..3, 0u8..3, any::<bool>()), 0..100)) {
            let (mut turns, mut out) = (Turns::default(), Vec::new());
            for (number, &(user, file, takes)) in pushes.iter().enumerate() {
                turns.push((user, file), (user, file, number));
                if takes {
                    out.extend(turns.next());
                }
            }
            out.extend(std::iter::from_fn(|| turns.next()));
            prop_assert!(turns.is_empty());
            prop_assert_eq!(out.len(), pushes.len());
            for key in pushes.iter().map(|(user, file, _)| (*user, *file)) {
                let own = out.iter().filter(|(user, file, _)| (*user, *file) == key);
                prop_assert!(own.map(|(.., number)| number).is_sorted());
            }
        }
    }
}
