//! Debug files that servers have, for files that are held: asked for when a stripped file is read, and added when they
//! are there. Nobody waits for them: until then a frame that they may name counts as late.

use std::sync::Arc;
use std::time::Instant;

use debuginfod::Debuginfod;
use pdata::FileIdentity;
use symbolize::Limits;

use super::{Files, Held};
use crate::fetching::Wanted;
use crate::request::{NamesByAddress, Unnamed};

impl Held {
    /// True if the file's debug file has been asked for, and no answer has come.
    pub(super) fn is_awaiting(&self) -> bool {
        self.wanted == Some(Wanted::Awaited)
    }
}

impl Files {
    /// Has debug files fetched that this machine does not have.
    pub(crate) fn fetching_from(mut self, client: Option<Arc<Debuginfod>>) -> Self {
        self.fetching.client = client;
        self
    }

    /// True if debug files are waited for.
    pub(crate) fn awaits_debug_files(&self) -> bool {
        self.fetching.client.is_some() && self.held.values().any(Held::is_awaiting)
    }

    /// Adds debug files that have been fetched, and asks again for those that were not to be had. Returns the files
    /// whose names hold no longer.
    pub(crate) fn take_fetched(&mut self, now: Instant) -> Vec<FileIdentity> {
        let mut changed = std::mem::take(&mut self.fetching.forgotten);
        if !self.fetching.is_due(now, self.awaits_debug_files()) {
            return changed;
        }
        self.fetching.looked = Some(now);
        let wanting = self.held.iter().filter(|(_, held)| held.wanted.is_some());
        let wanting: Vec<_> = wanting.map(|(identity, _)| *identity).collect();
        for identity in wanting {
            let Some((has_changed, was_read)) = self.look_again(identity) else { continue };
            changed.extend(has_changed.then_some(identity));
            if was_read {
                // Reading takes long, and others' names wait meanwhile.
                self.fetching.looked = None;
                break;
            }
        }
        changed
    }

    /// Looks for the debug file of a held file. Returns whether the names of the held file hold no longer, and whether
    /// a debug file was read.
    fn look_again(&mut self, identity: FileIdentity) -> Option<(bool, bool)> {
        let limits = Limits { memory: self.settings.max_bytes };
        let held = self.held.get_mut(&identity)?;
        let (was_awaiting, stripped) = (held.is_awaiting(), held.symbols.tables.as_ref()?);
        let (debug, wanted) = self.fetching.look(stripped, self.settings.lines, (held.user, limits));
        held.wanted = wanted;
        let was_read = wanted.is_none();
        let has_changed = debug.is_some() || was_awaiting && !held.is_awaiting();
        if let Some(debug) = debug {
            let before = held.symbols.bytes;
            held.symbols.complete(debug);
            self.bytes = self.bytes + held.symbols.bytes - before;
            self.make_room(identity);
        }
        Some((has_changed, was_read))
    }

    /// The names of a file, of which those that its debug file may have are late while it is awaited.
    pub(super) fn late_if_awaited(
        &self,
        identity: FileIdentity,
        mut names: NamesByAddress,
    ) -> NamesByAddress {
        if self.held.get(&identity).is_some_and(Held::is_awaiting) {
            let stripped = names.iter_mut().filter(|(_, name)| matches!(name, Err(Unnamed::Stripped)));
            stripped.for_each(|(_, name)| *name = Err(Unnamed::Late));
        }
        names
    }
}
