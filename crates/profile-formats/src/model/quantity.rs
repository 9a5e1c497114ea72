//! Quantities that can be shown of a profile: each a kind of value, counted or derived.

use super::profile::Profile;
use super::sample::{Amount, SampleKey, ValueType};
use crate::table::Id;

/// Unit of counted values.
const COUNT: &str = "count";

/// A kind of value, and its unit.
type Kind = (Id<str>, Id<str>);

/// A quantity by which samples are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// The number of captures, whatever the samples measure.
    Captures,
    /// A kind of value and its unit: as measured, or the quantity that captures of a known period stand for.
    Kind(Id<str>, Id<str>),
}

impl Profile {
    /// The kinds of values of the profile, in order: `samples`/`count` and `cpu`/`nanoseconds` for time on a CPU,
    /// `off_cpu`/`nanoseconds` for time off it.
    #[must_use]
    pub fn kinds(&self) -> Vec<(Id<str>, Id<str>)> {
        let mut kinds = Vec::new();
        for (_, value_type) in self.tables.value_types.iter() {
            let (counted, measured) = self.kinds_of(value_type);
            for kind in [Some(counted), measured].into_iter().flatten() {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        kinds
    }

    /// The quantity that is shown by default: samples counted, if there are any; else the first kind.
    #[must_use]
    pub fn main_quantity(&self) -> Quantity {
        let kinds = self.kinds();
        let is_count = |(_, unit): &&(Id<str>, Id<str>)| self.tables.text(*unit) == COUNT;
        let first = kinds.iter().find(is_count).or(kinds.first());
        first.map_or(Quantity::Captures, |&(kind, unit)| Quantity::Kind(kind, unit))
    }

    /// The quantity of this name, such as `cpu`; `None` if the profile has none.
    #[must_use]
    pub fn quantity(&self, name: &str) -> Option<Quantity> {
        let mut kinds = self.kinds().into_iter();
        let found = kinds.find(|(kind, _)| self.tables.text(*kind) == name);
        found.map(|(kind, unit)| Quantity::Kind(kind, unit))
    }

    /// The name and the unit of a quantity.
    #[must_use]
    pub fn quantity_name(&self, quantity: Quantity) -> (&str, &str) {
        match quantity {
            Quantity::Captures => ("samples", COUNT),
            Quantity::Kind(kind, unit) => (self.tables.text(kind), self.tables.text(unit)),
        }
    }

    /// The amount that a sample has of a quantity; 0 if it measures another kind.
    #[must_use]
    pub fn amount_of(&self, quantity: Quantity, key: &SampleKey, amount: Amount) -> i64 {
        let Quantity::Kind(kind, unit) = quantity else {
            return i64::try_from(amount.count).unwrap_or(i64::MAX);
        };
        let Some(value_type) = self.tables.value_types.get(key.value_type) else { return 0 };
        let (counted, measured) = self.kinds_of(value_type);
        if (kind, unit) == counted {
            amount.value
        } else if Some((kind, unit)) == measured {
            amount.value.saturating_mul(value_type.period)
        } else {
            0
        }
    }

    /// The kinds that samples of a type have: their own and, if that counts events of a known period, the quantity that
    /// the events stand for.
    fn kinds_of(&self, value_type: &ValueType) -> (Kind, Option<Kind>) {
        let counted = (value_type.kind, value_type.unit);
        let counts = value_type.period > 0 && self.tables.text(value_type.unit) == COUNT;
        (counted, value_type.period_type.filter(|period| counts && *period != counted))
    }
}
