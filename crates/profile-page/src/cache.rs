//! A cache of answers: a hundred pages that show the same cost as much as one.

use std::collections::VecDeque;

use bytes::Bytes;
use profile_store::Tick;

/// Most answers that are kept.
const MOST_ANSWERS: usize = 64;
/// Most bytes of all answers together.
const MOST_BYTES: usize = 8 << 20;
/// Most bytes of an answer and its key that are kept.
pub(crate) const MOST_ANSWER: usize = MOST_BYTES / 4;

/// Key of an answer: the text of the request itself, since a user who could make two requests with the same sum would
/// choose the answers of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The end of the time of which all samples have come.
    pub until: Tick,
    /// The path, with the query after `?`.
    pub asked: String,
}

/// The latest answers by their keys; the answer that was asked for least recently is dropped first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    answers: VecDeque<(Key, Bytes)>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn get(&mut self, key: &Key) -> Option<Bytes> {
        let place = self.answers.iter().position(|(other, _)| other == key)?;
        let found = self.answers.remove(place)?;
        let answer = found.1.clone();
        self.answers.push_back(found);
        Some(answer)
    }

    pub(crate) fn put(&mut self, key: Key, answer: Bytes) {
        let bytes = answer.len() + key.asked.len();
        if bytes > MOST_ANSWER || self.get(&key).is_some() {
            return;
        }
        self.bytes += bytes;
        self.answers.push_back((key, answer));
        while self.bytes > MOST_BYTES || self.answers.len() > MOST_ANSWERS {
            let Some((key, answer)) = self.answers.pop_front() else { break };
            self.bytes -= answer.len() + key.asked.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_in_number_and_bytes() {
        let mut cache = Cache::default();
        let key = |number: u32| Key { until: 7, asked: number.to_string() };
        for number in 0..1_000 {
            cache.put(key(number), vec![0; 300_000].into());
            assert!(cache.bytes <= MOST_BYTES && cache.answers.len() <= MOST_ANSWERS);
        }
        assert!(cache.get(&key(999)).is_some() && cache.get(&key(0)).is_none());
        assert!(cache.get(&Key { until: 8, ..key(999) }).is_none());
        cache.put(key(1_000), vec![0; MOST_BYTES].into());
        assert!(cache.get(&key(1_000)).is_none());
        cache.put(Key { until: 7, asked: "a".repeat(MOST_BYTES) }, Bytes::new());
        assert!(cache.bytes <= MOST_BYTES && cache.get(&key(999)).is_some());
    }
}
