//! The budget of stacks: the bytes of copied stacks that the receiver holds, by user and file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use pdata::Uid;

/// The most bytes in all, wherever they are held.
const MAX_BYTES: usize = 16 << 20;
/// The most bytes of one user's stacks, and of those that one file of the user's causes.
const MAX_OF_USER: usize = MAX_BYTES / 2;
const MAX_OF_FILE: usize = MAX_BYTES / 16;

/// The user who runs a program, and the file that its stack could not be followed in, by number.
pub(crate) type Holder = (Uid, u64);

/// Counts the bytes of all stacks that are held.
#[derive(Clone, Debug, Default)]
pub(crate) struct StackBudget(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    all: usize,
    users: HashMap<Uid, usize>,
    files: HashMap<Holder, usize>,
}

impl StackBudget {
    /// Counts bytes until the returned value is dropped; `None` if there are too many already.
    pub(crate) fn admit(&self, bytes: usize, holder: Holder) -> Option<CountedBytes> {
        let mut held = self.held();
        let of_user = held.users.get(&holder.0).copied().unwrap_or(0);
        let of_file = held.files.get(&holder).copied().unwrap_or(0);
        let fits =
            held.all + bytes <= MAX_BYTES && of_user + bytes <= MAX_OF_USER && of_file + bytes <= MAX_OF_FILE;
        fits.then(|| {
            held.all += bytes;
            held.users.insert(holder.0, of_user + bytes);
            held.files.insert(holder, of_file + bytes);
            CountedBytes { bytes, holder, of: self.clone() }
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No panic happens while the state is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are part of a budget for as long as the value lives.
#[derive(Debug)]
pub(crate) struct CountedBytes {
    bytes: usize,
    holder: Holder,
    of: StackBudget,
}

impl CountedBytes {
    /// The user and the file that the bytes are counted for.
    pub(crate) fn holder(&self) -> Holder {
        self.holder
    }
}

impl Drop for CountedBytes {
    fn drop(&mut self) {
        let mut held = self.of.held();
        held.all -= self.bytes;
        take_off(&mut held.users, self.holder.0, self.bytes);
        take_off(&mut held.files, self.holder, self.bytes);
    }
}

fn take_off<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K, bytes: usize) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(bytes);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_file_nor_a_user_takes_all_and_what_is_dropped_makes_room() {
        let budget = StackBudget::default();
        let of = |user, file| budget.admit(MAX_OF_FILE, (Uid(user), file));
        let first = of(1, 1);
        assert!(first.is_some() && of(1, 1).is_none(), "one file's share");
        let more: Vec<_> = (2..=8).map(|file| of(1, file)).collect();
        assert!(more.iter().all(Option::is_some) && of(1, 9).is_none(), "one user's share");
        let others: Vec<_> = (1..=8).map(|file| of(2, file)).collect();
        assert!(others.iter().all(Option::is_some) && of(3, 1).is_none(), "all there is");
        drop(first);
        assert!(of(3, 1).is_some());
        drop((more, others));
        let held = budget.held();
        assert_eq!((held.all, held.users.len(), held.files.len()), (0, 0, 0));
    }
}
