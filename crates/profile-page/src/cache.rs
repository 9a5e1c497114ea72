//! Answers that have been given: a hundred pages that look at the same cost as much as one.

use std::collections::VecDeque;

use bytes::Bytes;
use profile_store::Tick;

/// Most answers that are kept.
const MOST_ANSWERS: usize = 64;
/// Most bytes that they have together.
const MOST_BYTES: usize = 8 << 20;
/// Most bytes of an answer that is kept with its key.
pub(crate) const MOST_ANSWER: usize = MOST_BYTES / 4;

/// What an answer is to: the text of the request itself, since whoever could make two with the same sum would choose
/// what others are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The end of what is complete.
    pub until: Tick,
    /// The path with what is after `?`.
    pub asked: String,
}

/// The last answers, by what they are to; those that nobody has asked for go first.
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
