//! Debug files that held files lack, and the client that asks servers for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use debuginfod::{Debuginfod, Fetch, GnuBuildId};
use pdata::FileIdentity;
use symbolize::{Limits, SymbolFile};

use crate::debug_files;
use crate::fair::User;
use crate::symbols::DebugFile;

/// Time between two looks whether files have come.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Time between two looks while no file is being fetched: a file that could not be fetched may be asked for again.
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(5);

/// The servers' client, and the times at which it is asked.
#[derive(Debug, Default)]
pub(crate) struct Fetching {
    /// The client; `None` if the configuration has no servers asked.
    pub(crate) client: Option<Arc<Debuginfod>>,
    /// Time of the last look whether files have come; `None` if another is due.
    pub(crate) looked: Option<Instant>,
    /// Files that awaited their debug files and are not held any more.
    pub(crate) forgotten: Vec<FileIdentity>,
}

/// The state of a debug file that a held file lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The debug file has been asked for, and no answer has come.
    Awaited,
    /// The debug file was not to be had, and may be asked for again.
    Absent,
}

impl Fetching {
    /// The debug file of a stripped file, if it has been fetched; else the one to be fetched, if that is of use.
    pub(crate) fn look(
        &self,
        stripped: &SymbolFile,
        lines: bool,
        (user, limits): (User, Limits),
    ) -> (Option<DebugFile>, Option<Wanted>) {
        // A file with the compressed symbols that distributions leave in it has all names already.
        let is_of_use = lines || !stripped.has_inner_names();
        let id = stripped.outline().build_id().and_then(GnuBuildId::new).filter(|_| is_of_use);
        let Some((client, id)) = self.client.as_ref().zip(id) else { return (None, None) };
        match client.file(id, user) {
            Fetch::Here(file) => (debug_files::read_fetched(file, stripped.outline(), limits), None),
            Fetch::Waiting => (None, Some(Wanted::Awaited)),
            Fetch::Absent => (None, Some(Wanted::Absent)),
        }
    }

    /// True if it is time to look whether files have come, some of which are awaited or none.
    pub(crate) fn is_due(&self, now: Instant, are_awaited: bool) -> bool {
        let every = if are_awaited { LOOK_EVERY } else { ASK_AGAIN_EVERY };
        let is_due = self.looked.is_none_or(|looked| now.saturating_duration_since(looked) >= every);
        self.client.is_some() && is_due
    }

    /// Notes that a file which awaits its debug file is not held any more: its frames shall not be late for ever.
    pub(crate) fn forgotten(&mut self, identity: FileIdentity) {
        self.forgotten.push(identity);
    }
}
