//! The samples and records that a window lacks, as attributes of its profiles.

use ::windows::Losses;

use crate::attributes;
use crate::dictionary::{Dictionary, Value};

/// The list of attributes of a profile in whose window `delivered` samples arrived and `losses` did not.
pub(crate) fn attributes(losses: &Losses, delivered: u64, dictionary: &mut Dictionary) -> i32 {
    let lost = losses.samples();
    let mut indices = vec![
        count(dictionary, attributes::WINDOW_SAMPLES_EXPECTED, delivered.saturating_add(lost)),
        count(dictionary, attributes::WINDOW_SAMPLES_LOST, lost),
    ];
    indices.extend(losses.iter().map(|(reason, lost)| {
        let prefix = match reason.is_sample() {
            true => attributes::WINDOW_SAMPLES_LOST_BY,
            false => attributes::WINDOW_RECORDS_LOST_BY,
        };
        count(dictionary, &format!("{prefix}{}", reason.as_str()), lost)
    }));
    dictionary.lists.intern(&indices)
}

fn count(dictionary: &mut Dictionary, key: &str, count: u64) -> i32 {
    dictionary.attribute(key, Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use pdata::{KTime, Loss, LossReason};

    use super::*;

    /// Whatever was lost, the profile has the counts and the reason: two numbers of samples, and one for the reason.
    #[test]
    fn every_reason_reaches_the_profile() {
        for reason in LossReason::ALL {
            let mut losses = Losses::default();
            losses.add(&Loss { from: KTime::ZERO, until: KTime::ZERO, reason, count: 7 });
            let mut dictionary = Dictionary::default();
            let list = super::attributes(&losses, 9, &mut dictionary);
            let lost = if reason.is_sample() { 7 } else { 0 };
            let kind = if reason.is_sample() { "samples" } else { "records" };
            let expected = [
                count(&mut dictionary, "profile.window.samples.expected", 9 + lost),
                count(&mut dictionary, "profile.window.samples.lost", lost),
                count(&mut dictionary, &format!("profile.window.{kind}.lost.{}", reason.as_str()), 7),
            ];
            assert_eq!(dictionary.lists.get(list), expected);
        }
    }

    #[test]
    fn more_than_a_number_holds_is_as_much_as_it_holds() {
        let mut losses = Losses::default();
        let (reason, count) = (LossReason::SampleRingFull, u64::MAX);
        losses.add(&Loss { from: KTime::ZERO, until: KTime::ZERO, reason, count });
        let mut dictionary = Dictionary::default();
        let list = super::attributes(&losses, 9, &mut dictionary);
        assert_eq!(dictionary.lists.get(list).len(), 3);
    }
}
