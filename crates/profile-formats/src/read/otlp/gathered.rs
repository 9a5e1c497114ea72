//! What is gathered of the profiles of a file.

use std::collections::HashSet;

use otlp_profiles::attributes as key;
use pdata::UnixNanos;

use crate::model::{Attribute, Loss, Profile, Value};
use crate::read::full::FactRoom;
use crate::table::Id;

/// The most windows whose losses are distinguished.
const MOST_WINDOWS: usize = 1 << 20;
/// The longest name of a reason for losses, in bytes; those of `pdata` have some 30.
const MOST_REASON_BYTES: usize = 128;

/// What is gathered of the profiles of a file.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) profile: Profile,
    /// Losses whose window has been met: every profile of a window repeats them.
    losses: HashSet<(u64, u64, Id<str>, u64)>,
    /// For facts of processes and samples.
    pub(super) facts: FactRoom,
    /// True once a profile had a span.
    has_span: bool,
}

impl Gathered {
    /// Makes the profile at least as long as this.
    pub(super) fn span(&mut self, start: u64, end: u64) {
        let (start, end) = (UnixNanos::from_nanos(start), UnixNanos::from_nanos(end));
        let profile = &mut self.profile;
        profile.start = if self.has_span { profile.start.min(start) } else { start };
        profile.end = profile.end.max(end);
        self.has_span = true;
    }

    /// Adds what the window of a profile has lost, once for each window.
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
