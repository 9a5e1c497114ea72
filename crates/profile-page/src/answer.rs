//! Questions to answers.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use profile_store::{Query, Store, heat, processes, sandwich, status, timeline, top, tree};
use serde::Serialize;

use crate::question::{Question, Topic};

/// An answer with the range that it is of.
#[derive(Serialize)]
struct Envelope<T> {
    /// In Unix milliseconds.
    from: u64,
    until: u64,
    answer: T,
}

/// The answer to a question about numbers, as JSON.
pub(crate) fn json(store: &Store, question: &Question) -> Result<Vec<u8>, serde_json::Error> {
    let query = question.query(store);
    match &question.topic {
        Topic::Status | Topic::Download(_) => envelope(store, &query, status(store, &query)),
        Topic::Tree => envelope(store, &query, tree(store, &query)),
        Topic::Top(by) => envelope(store, &query, top(store, &query, *by)),
        Topic::Sandwich { function, module } => {
            envelope(store, &query, sandwich(store, &query, function, module.as_deref()))
        }
        Topic::Timeline => envelope(store, &query, timeline(store, &query)),
        Topic::Heat => envelope(store, &query, heat(store, &query)),
        Topic::Processes => envelope(store, &query, processes(store, &query)),
    }
}

fn envelope<T: Serialize>(store: &Store, query: &Query, answer: T) -> Result<Vec<u8>, serde_json::Error> {
    let (from, until) = (store.unix_millis(query.span.from), store.unix_millis(query.span.until));
    serde_json::to_vec(&Envelope { from, until, answer })
}

/// Compressed as well as is worth the time.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    // Memory takes all that is written.
    let _written = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
