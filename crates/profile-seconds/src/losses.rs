//! Lost records, added up.

use std::collections::BTreeMap;

/// Most reasons of loss: several times as many as there are.
pub(crate) const MAX_REASONS: usize = 64;

/// Lost records by reason: the name of the reason, whether the records were samples, and their number.
pub type LostRecords = (Box<str>, bool, u64);

/// Lost records of several seconds, added up by reason. There are at most as many reasons as a second may have, even if
/// a message names more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(BTreeMap<Box<str>, (bool, u64)>);

impl Losses {
    /// Adds the losses of a second, or of several.
    pub fn add(&mut self, lost: &[LostRecords]) {
        for (reason, is_sample, count) in lost {
            if let Some((_, known)) = self.0.get_mut(reason) {
                *known = known.saturating_add(*count);
            } else if self.0.len() < MAX_REASONS {
                self.0.insert(reason.clone(), (*is_sample, *count));
            }
        }
    }

    /// The losses since `earlier`, a former state of these.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Vec<LostRecords> {
        let later = self.0.iter().map(|(reason, (is_sample, count))| {
            let before = earlier.0.get(reason).map_or(0, |(_, before)| *before);
            (reason.clone(), *is_sample, count.saturating_sub(before))
        });
        later.filter(|(.., count)| *count > 0).collect()
    }

    /// All losses, by name of their reason.
    #[must_use]
    pub fn all(&self) -> Vec<LostRecords> {
        self.since(&Self::default())
    }

    /// Removes all losses and returns them, by name of their reason.
    #[must_use]
    pub fn take(&mut self) -> Vec<LostRecords> {
        std::mem::take(self).all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(reason: &str, count: u64) -> LostRecords {
        (reason.into(), true, count)
    }

    #[test]
    fn losses_add_up_and_are_taken_once() {
        let mut losses = Losses::default();
        losses.add(&[lost("a", 1), lost("b", 2)]);
        let earlier = losses.clone();
        losses.add(&[lost("b", 3), lost("c", 4)]);
        assert_eq!(losses.since(&earlier), [lost("b", 3), lost("c", 4)]);
        assert_eq!(losses.take(), [lost("a", 1), lost("b", 5), lost("c", 4)]);
        assert_eq!(losses.take(), []);
    }

    #[test]
    fn reasons_are_bounded() {
        let mut losses = Losses::default();
        for number in 0..2 * MAX_REASONS {
            losses.add(&[lost(&number.to_string(), 1)]);
        }
        assert_eq!(losses.take().len(), MAX_REASONS);
    }
}
