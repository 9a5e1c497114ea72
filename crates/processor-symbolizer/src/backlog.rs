//! What has been asked and not been answered yet, and in which order it is looked up.
//!
//! Reading the tables of a large file takes a tenth of a second, and on a busy machine a second. What is known without
//! that is answered first, whoever asked for it; and files are opened before the tables of any are read, since their
//! processes may not live that long.

use std::collections::VecDeque;

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

    /// True if a lookup is answered without reading a file's tables. A file is opened, so that it can be read later.
    fn is_quick(&mut self, lookup: &Lookup) -> bool {
        match &lookup.target {
            Target::File { file, process, range } => {
                self.files.is_known_or_opened(Sight { file, process: *process, range: *range })
            }
            Target::Kernel | Target::Vdso | Target::Jit(_) => true,
        }
    }

    fn find(&mut self, Lookup { space, target, addresses }: Lookup) -> Found {
        match target {
            Target::File { file, process, range } => {
                let names = self.files.names(Sight { file: &file, process, range }, &addresses);
                Found { space, replaced: false, names }
            }
            Target::Kernel => self.kernel.names(&addresses),
            Target::Vdso => self.vdso.names(&addresses),
            Target::Jit(process) => self.jits.names(self.files.reader(), process, &addresses),
        }
    }
}

/// Requests that have not been answered whole, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    requests: VecDeque<Pending>,
    /// The ticket of the last of those that have been.
    answered: u64,
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
        let slow = self.requests.iter_mut().find_map(|pending| pending.slow.pop_front());
        found.extend(slow.map(|lookup| spaces.find(lookup)));
        while let Some(first) = self.requests.front()
            && first.slow.is_empty()
        {
            self.answered = first.ticket;
            self.requests.pop_front();
        }
        NameAnswer { ticket: self.answered, found }
    }
}
