//! What has been asked and not been answered yet, and in which order it is looked up.
//!
//! Reading the tables of a large file takes a tenth of a second, and on a busy machine a second. What is known without
//! that is answered first, whoever asked for it; and files are opened before the tables of any are read, since their
//! processes may not live that long. Users have their tables read by turns, and lists of functions compiled at run time
//! once theirs have taken much time: whoever runs ten thousand programs does not keep another from the names of one.

use std::collections::VecDeque;
use std::time::Instant;

use foldhash::HashMap;

use crate::fair::User;
use crate::files::Files;
use crate::jit::Jits;
use crate::kernel::Kernel;
use crate::request::{Found, Lookup, NameAnswer, NameRequest, Target};
use crate::sight::Sight;
use crate::vdso::Vdso;

/// Whatever has names.
#[derive(Debug)]
pub(crate) struct Spaces {
    pub(crate) files: Files,
    pub(crate) kernel: Kernel,
    pub(crate) vdso: Vdso,
    pub(crate) jits: Jits,
}

impl Spaces {
    /// Ends what is only needed while there is something to do.
    pub(crate) fn rest(&mut self) {
        self.files.rest();
    }

    /// Closes what has been held open for so long that nobody will need it any more: an open file takes room although
    /// it has been deleted, and keeps its file system from being unmounted. True if something is still open.
    pub(crate) fn close_old(&mut self) -> bool {
        self.jits.close_old(Instant::now())
    }

    /// True if a lookup is answered without reading a file's tables, or lists of a user who has had much read. A file
    /// is opened, so that it can be read later.
    fn is_quick(&mut self, lookup: &Lookup) -> bool {
        match &lookup.target {
            Target::File { file, process, range, user } => {
                self.files.is_known_or_opened(Sight { file, process: *process, range: *range, user: *user })
            }
            Target::Jit { process, user } => self.jits.is_quick(*process, *user, Instant::now()),
            Target::Kernel | Target::Vdso => true,
        }
    }

    fn find(&mut self, Lookup { space, target, addresses }: Lookup) -> Found {
        match target {
            Target::File { file, process, range, user } => {
                let names = self.files.names(Sight { file: &file, process, range, user }, &addresses);
                Found { space, replaced: false, names }
            }
            Target::Kernel => self.kernel.names(&addresses),
            Target::Vdso => self.vdso.names(&addresses),
            Target::Jit { process, user } => self.jits.names(self.files.reader(), process, user, &addresses),
        }
    }
}

/// Requests that have not been answered whole, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    requests: VecDeque<Pending>,
    /// The ticket of the last of those that have been.
    answered: u64,
    /// When each user who waits has had a turn.
    served: HashMap<User, u64>,
    /// Counts turns.
    turns: u64,
}

/// A request, and the part of it that has no answer yet.
#[derive(Debug)]
struct Pending {
    ticket: u64,
    /// Lookups that have not been looked at.
    new: Vec<Lookup>,
    /// Lookups that take long.
    slow: VecDeque<Lookup>,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Takes in a request, later than all before.
    pub(crate) fn push(&mut self, NameRequest { ticket, lookups }: NameRequest) {
        self.requests.push_back(Pending { ticket, new: lookups, slow: VecDeque::new() });
    }

    /// Looks up all that is quick, and one that is not.
    pub(crate) fn work(&mut self, spaces: &mut Spaces) -> NameAnswer {
        let mut found = Vec::new();
        for pending in &mut self.requests {
            for lookup in std::mem::take(&mut pending.new) {
                if spaces.is_quick(&lookup) {
                    found.push(spaces.find(lookup));
                } else {
                    pending.slow.push_back(lookup);
                }
            }
        }
        found.extend(self.next_slow().map(|lookup| spaces.find(lookup)));
        while let Some(first) = self.requests.front()
            && first.slow.is_empty()
        {
            self.answered = first.ticket;
            self.requests.pop_front();
        }
        NameAnswer { ticket: self.answered, found }
    }

    /// The oldest lookup that takes long of the user whose last turn is the longest ago.
    fn next_slow(&mut self) -> Option<Lookup> {
        // The first place of each user.
        let mut waiting: HashMap<User, (usize, usize)> = HashMap::default();
        for (request, pending) in self.requests.iter().enumerate() {
            for (place, lookup) in pending.slow.iter().enumerate() {
                waiting.entry(lookup.user()).or_insert((request, place));
            }
        }
        self.served.retain(|user, _| waiting.contains_key(user));
        let served = |user: &User| self.served.get(user).copied().unwrap_or(0);
        let (user, (request, place)) =
            waiting.into_iter().min_by_key(|(user, place)| (served(user), *place))?;
        self.turns += 1;
        self.served.insert(user, self.turns);
        self.requests.get_mut(request)?.slow.remove(place)
    }
}

#[cfg(test)]
mod tests {
    use pdata::{FileIdentity, MappedFile, Pc, ProcessKey, Uid};

    use super::*;
    use crate::request::Space;

    fn lookup(user: u32, inode: u64) -> Lookup {
        let identity = FileIdentity { inode, ..FileIdentity::default() };
        let target = Target::File {
            file: MappedFile { identity, ..MappedFile::at("/program".as_ref()) }.into(),
            process: ProcessKey::default(),
            range: (Pc(0), Pc(1)),
            user: Some(Uid(user)),
        };
        Lookup { space: Space::File(identity), target, addresses: Vec::new() }
    }

    /// Files in the order in which their tables are read, by inode number.
    fn order(backlog: &mut Backlog) -> Vec<u64> {
        let next = std::iter::from_fn(|| backlog.next_slow());
        next.filter_map(|lookup| match lookup.space {
            Space::File(identity) => Some(identity.inode),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn users_have_turns_and_each_has_its_own_in_order() {
        let mut backlog = Backlog::default();
        for (ticket, lookups) in [
            (1, vec![lookup(1, 10), lookup(1, 11), lookup(1, 12)]),
            (2, vec![lookup(1, 13), lookup(2, 20), lookup(2, 21)]),
            (3, vec![lookup(3, 30), lookup(1, 14)]),
        ] {
            backlog.requests.push_back(Pending { ticket, new: Vec::new(), slow: lookups.into() });
        }
        assert_eq!(order(&mut backlog), [10, 20, 30, 11, 21, 12, 13, 14]);
        let process = ProcessKey::default();
        let target = Target::Jit { process, user: Some(Uid(2)) };
        let list = Lookup { space: Space::Jit(process), target, addresses: Vec::new() };
        let slow = [lookup(2, 20), list, lookup(3, 30)].into();
        backlog.requests.push_back(Pending { ticket: 4, new: Vec::new(), slow });
        assert_eq!(order(&mut backlog), [20, 30], "lists have turns as files have");
        assert!(backlog.next_slow().is_none() && backlog.served.is_empty(), "who has gone is forgotten");
    }
}
