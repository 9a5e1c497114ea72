//! Answers that have been given: a hundred pages that look at the same cost as much as one.

use std::collections::VecDeque;

use bytes::Bytes;

/// Most answers that are kept.
const MOST_ANSWERS: usize = 64;
/// Most bytes that they have together.
const MOST_BYTES: usize = 8 << 20;

/// The last answers, by their tags; those that nobody has asked for go first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    answers: VecDeque<(String, Bytes)>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn get(&mut self, tag: &str) -> Option<Bytes> {
        let place = self.answers.iter().position(|(other, _)| other == tag)?;
        let found = self.answers.remove(place)?;
        let answer = found.1.clone();
        self.answers.push_back(found);
        Some(answer)
    }

    pub(crate) fn put(&mut self, tag: String, answer: Bytes) {
        if answer.len() > MOST_BYTES / 4 || self.get(&tag).is_some() {
            return;
        }
        self.bytes += answer.len();
        self.answers.push_back((tag, answer));
        while self.bytes > MOST_BYTES || self.answers.len() > MOST_ANSWERS {
            let Some((_, answer)) = self.answers.pop_front() else { break };
            self.bytes -= answer.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_in_number_and_bytes() {
        let mut cache = Cache::default();
        for number in 0..1_000 {
            cache.put(number.to_string(), vec![0; 300_000].into());
            assert!(cache.bytes <= MOST_BYTES && cache.answers.len() <= MOST_ANSWERS);
        }
        assert!(cache.get("999").is_some() && cache.get("0").is_none());
        cache.put("big".to_owned(), vec![0; MOST_BYTES].into());
        assert!(cache.get("big").is_none());
    }
}
