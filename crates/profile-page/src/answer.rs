//! Answers to questions, as JSON.

use std::io::{self, Read as _, Write as _};

use bytes::{Buf as _, Bytes};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::{Stream, stream};
use profile_store::{Query, Store, heat, processes, sandwich, status, timeline, top, tree};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::question::{Question, Topic};

/// An answer with its range of time.
#[derive(Serialize)]
struct Envelope<T> {
    /// Start of the range, in Unix milliseconds.
    from: u64,
    until: u64,
    answer: T,
}

/// The answer to a question that is not a download, as JSON.
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

/// The bytes, compressed with gzip at a level that is worth its time.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    // Writing to memory does not fail.
    let _written = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Most bytes of a part of a plain answer.
const PART: u64 = 64 << 10;

/// The decompressed bytes in parts, each of which is made when the client has read those before: an answer takes no
/// more memory than it does compressed, and no thread of the runtime decompresses.
pub(crate) fn plain(gzipped: Bytes) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    stream::try_unfold(GzDecoder::new(gzipped.reader()), |mut decoder| async {
        let read = move || {
            let mut part = Vec::new();
            decoder.by_ref().take(PART).read_to_end(&mut part)?;
            Ok((!part.is_empty()).then_some((part, decoder)))
        };
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    })
}

/// A sum of a text for which no second text can be made: 128 bits of SHA-256, in hexadecimal.
pub(crate) fn sum(text: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_a_weak_sum_confuses_have_sums_of_their_own() {
        // FNV-1a with 64 bits has the same sum of both.
        assert_ne!(sum(b"8yn0iYCKYHlIj4-BwPqk"), sum(b"GReLUrM4wMqfg9yzV3KQ"));
        assert_eq!(sum(b""), "e3b0c44298fc1c149afbf4c8996fb924");
    }
}
