//! Requests for names that have not been answered yet, and the order in which their lookups are done.
//!
//! Reading the tables of a large file takes a tenth of a second, and on a busy machine a second. Names that are known
//! without that are answered first, whoever asked for them; and files are opened before the tables of any are read,
//! since their processes may not live that long. Users have their tables read by turns, and lists of functions compiled
//! at run time once theirs have taken much time: a user who runs ten thousand programs does not keep another from the
//! names of one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::{HashMap, HashSet};
use pdata::MappedFile;

use crate::fair::User;
use crate::files::Files;
use crate::jit::Jits;
use crate::kernel::Kernel;
use crate::line_job::{LineJob, NamedAddress};
use crate::lines::LineThread;
use crate::metrics;
use crate::progress::Progress;
use crate::request::{Found, Lookup, Name, NameAnswer, NameRequest, NamesByAddress, Space, Target};
use crate::sight::Sight;
use crate::vdso::Vdso;

/// Everything that has names: files, the kernel, the vDSO and compilers at run time.
#[derive(Debug)]
pub(crate) struct Spaces {
    pub(crate) files: Files,
    pub(crate) kernel: Kernel,
    pub(crate) vdso: Vdso,
    pub(crate) jits: Jits,
    /// The thread that looks up lines; `None` if the configuration wants none.
    pub(crate) lines: Option<LineThread>,
    pub(crate) progress: Arc<Progress>,
}

impl Spaces {
    /// Ends the process that reads, which is only needed while there are lookups.
    pub(crate) fn rest(&mut self) {
        self.files.rest();
    }

    /// Closes lists that have been held open for so long that nobody will need them any more: an open file takes room
    /// although it has been deleted, and keeps its file system from being unmounted. True if a list is still open.
    pub(crate) fn close_old(&mut self) -> bool {
        self.jits.close_old(Instant::now())
    }

    /// Lengthens the lives of open lists by `time`, in which the agent was stopped and nobody could ask for anything.
    pub(crate) fn was_stopped(&mut self, time: Duration) {
        self.jits.was_stopped(time);
    }

    /// True if a lookup is answered without reading a file's tables, or lists of a user who has had many read. A file
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

    /// The answer that the names of some files hold no longer, since their debug files have been fetched or are not
    /// waited for any more; `None` if there are none.
    pub(crate) fn take_fetched(&mut self) -> Option<NameAnswer> {
        let changed = self.files.take_fetched(Instant::now());
        let none = |identity| {
            let space = Space::File(identity);
            Found { replaced: true, ..Found::of(space, Ok(NamesByAddress::new())) }
        };
        let found: Vec<_> = changed.into_iter().map(none).collect();
        (!found.is_empty()).then(|| NameAnswer { ticket: self.progress.answered(), found })
    }

    /// Does a lookup of a request, and adds its names to `found`.
    fn find(&mut self, ticket: u64, Lookup { space, target, addresses }: Lookup, found: &mut Vec<Found>) {
        match target {
            Target::File { file, process, range, user } => {
                let sight = Sight { file: &file, process, range, user };
                let mut names = self.files.names(sight, &addresses);
                if let Ok(names) = &mut names
                    && let Some(named) = self.ask_for_lines(ticket, (sight, &file), names)
                {
                    found.push(Found { has_more: true, ..Found::of(space, Ok(named)) });
                }
                found.push(Found::of(space, names));
            }
            Target::Kernel => found.push(self.kernel.names(&addresses)),
            Target::Vdso => found.push(self.vdso.names(&addresses)),
            Target::Jit { process, user } => {
                found.push(self.jits.names(self.files.reader(), process, user, &addresses));
            }
        }
    }

    /// Asks the thread for the lines of addresses that have names. Returns the names to which lines will be added, and
    /// leaves the others.
    fn ask_for_lines(
        &self,
        ticket: u64,
        (sight, file): (Sight<'_>, &Arc<MappedFile>),
        names: &mut NamesByAddress,
    ) -> Option<NamesByAddress> {
        let (lines, identity) = (self.lines.as_ref()?, sight.file.identity);
        let source = self.files.line_source(identity)?;
        let wanted = |(offset, name): &(u64, Name)| {
            // A function with a file has lines already: Go's tables have them.
            let name =
                name.as_ref().ok().filter(|name| name.0.iter().all(|line| line.function.file.is_none()))?;
            let address = self.files.address_of(identity, *offset)?;
            Some(NamedAddress { offset: *offset, address, name: Arc::clone(name) })
        };
        let addresses: Vec<_> = names.iter().filter_map(wanted).collect();
        let count = addresses.len() as u64;
        let named: NamesByAddress =
            addresses.iter().map(|each| (each.offset, Ok(Arc::clone(&each.name)))).collect();
        let (space, file, Sight { process, range, user, .. }) =
            (Space::File(identity), Arc::clone(file), sight);
        let job = LineJob { ticket, space, file, process, range, user, source, addresses };
        if named.is_empty() {
            return None;
        }
        if !lines.ask(job) {
            metrics::LineTally { queue_full: count, ..metrics::LineTally::default() }.publish();
            return None;
        }
        let asked: HashSet<u64> = named.iter().map(|(offset, _)| *offset).collect();
        names.retain(|(offset, _)| !asked.contains(offset));
        Some(named)
    }
}

/// Requests that have not been answered whole, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    requests: VecDeque<Pending>,
    /// The ticket of the last request that has been answered, with all before it.
    answered: u64,
    /// The turn that each user who waits had last.
    served: HashMap<User, u64>,
    /// Count of turns.
    turns: u64,
}

/// A request, and the part of it that has no answer yet.
#[derive(Debug)]
struct Pending {
    ticket: u64,
    /// Lookups that have not been looked at yet.
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

    /// Adds a request, whose ticket is later than all before.
    pub(crate) fn push(&mut self, NameRequest { ticket, lookups }: NameRequest) {
        self.requests.push_back(Pending { ticket, new: lookups, slow: VecDeque::new() });
    }

    /// Does all lookups that are quick, and one that is not.
    pub(crate) fn work(&mut self, spaces: &mut Spaces) -> NameAnswer {
        let mut found = Vec::new();
        for pending in &mut self.requests {
            for lookup in std::mem::take(&mut pending.new) {
                if spaces.is_quick(&lookup) {
                    spaces.find(pending.ticket, lookup, &mut found);
                } else {
                    pending.slow.push_back(lookup);
                }
            }
        }
        if let Some((ticket, lookup)) = self.next_slow() {
            spaces.find(ticket, lookup, &mut found);
        }
        while let Some(first) = self.requests.front()
            && first.slow.is_empty()
        {
            self.answered = first.ticket;
            self.requests.pop_front();
        }
        spaces.progress.named(self.answered);
        NameAnswer { ticket: spaces.progress.answered(), found }
    }

    /// The oldest lookup that takes long, and the request that it is part of, of the user whose last turn is the
    /// longest ago.
    fn next_slow(&mut self) -> Option<(u64, Lookup)> {
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
        let pending = self.requests.get_mut(request)?;
        Some((pending.ticket, pending.slow.remove(place)?))
    }
}

#[cfg(test)]
mod tests {
    use pdata::{FileIdentity, Pc, ProcessKey, Uid};

    use super::*;

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

    /// Inode numbers of files in the order in which their tables are read.
    fn order(backlog: &mut Backlog) -> Vec<u64> {
        let next = std::iter::from_fn(|| backlog.next_slow());
        next.filter_map(|(_, lookup)| match lookup.space {
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
