//! The profile that the requests of a file are gathered into.

use std::collections::HashSet;

use otlp_profiles::attributes as key;
use pdata::UnixNanos;

use crate::model::{Attribute, Loss, Profile, Value};
use crate::read::full::FactRoom;
use crate::table::Id;

/// Most windows whose losses are distinguished.
const MOST_WINDOWS: usize = 1 << 20;
/// Longest name of a loss reason, in bytes; those of `pdata` have some 30.
const MOST_REASON_BYTES: usize = 128;

/// The profile that the requests of a file are gathered into, with state that only reading needs.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) profile: Profile,
    /// Losses that were added, with their window: every profile of a window repeats them.
    losses: HashSet<(u64, u64, Id<str>, u64)>,
    /// Room for facts of processes and samples.
    pub(super) facts: FactRoom,
    /// True once a profile has set the span.
    has_span: bool,
}

impl Gathered {
    /// Widens the profile's span to hold this one.
    pub(super) fn span(&mut self, start: u64, end: u64) {
        let (start, end) = (UnixNanos::from_nanos(start), UnixNanos::from_nanos(end));
        let profile = &mut self.profile;
        profile.start = if self.has_span { profile.start.min(start) } else { start };
        profile.end = profile.end.max(end);
        self.has_span = true;
    }

    /// Adds the losses of a profile's window, once for each window.
    pub(super) fn lose(&mut self, start: u64, duration: u64, facts: &[Attribute]) {
        for fact in facts {
            let Value::Int(count) = fact.value else { continue };
            let name = self.profile.tables.text(fact.key);
            let samples = name.strip_prefix(key::WINDOW_SAMPLES_LOST_BY);
            let reason = samples.or_else(|| name.strip_prefix(key::WINDOW_RECORDS_LOST_BY));
            let Some(reason) = reason.filter(|reason| reason.len() <= MOST_REASON_BYTES) else { continue };
            let loss = Loss { count: u64::try_from(count).unwrap_or_default(), samples: samples.is_some() };
            let is_new = self.losses.len() < MOST_WINDOWS
                && self.losses.insert((start, duration, fact.key, loss.count));
            if is_new {
                let reason = reason.to_owned();
                self.profile.add_loss(&reason, loss);
            }
        }
    }
}
