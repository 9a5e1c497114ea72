//! The values that each sample has.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{Profile, Sample, ValueType};

use super::proto;
use super::symbols::Strings;
use crate::format::resolve::{Lookup, profiles, value};

/// Unit of what is counted.
const COUNT: &str = "count";

/// Type and unit.
type Kind<'a> = (&'a str, &'a str);

/// The value columns of a pprof profile: each kind that any OTLP profile measures, in the order in which they are met.
pub(super) struct Columns<'a> {
    kinds: Vec<Kind<'a>>,
    /// Of the first profile that has one.
    period: Option<(Kind<'a>, i64)>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(request: &'a ExportProfilesServiceRequest, lookup: Lookup<'a>) -> Self {
        let mut columns = Self { kinds: Vec::new(), period: None };
        for (_, profile) in profiles(&request.resource_profiles) {
            let (counted, measured) = of_profile(profile, lookup);
            for kind in [Some(counted), measured].into_iter().flatten() {
                if !columns.kinds.contains(&kind) {
                    columns.kinds.push(kind);
                }
            }
            if columns.period.is_none() && profile.period > 0 {
                columns.period = profile.period_type.map(|period| (kind(period, lookup), profile.period));
            }
        }
        columns
    }

    /// The values of a sample, one for each column.
    pub(super) fn values(&self, profile: &Profile, sample: &Sample, lookup: Lookup<'_>) -> Vec<i64> {
        let (counted, measured) = of_profile(profile, lookup);
        let count = value(sample);
        let of = |kind: &Kind<'_>| {
            if *kind == counted {
                count
            } else if Some(*kind) == measured {
                count.saturating_mul(profile.period)
            } else {
                0
            }
        };
        self.kinds.iter().map(of).collect()
    }

    /// The types of the values, and the name of the one to show: CPU time if it is there.
    pub(super) fn types(&self, strings: &mut Strings) -> (Vec<proto::ValueType>, i64) {
        let types = self.kinds.iter().map(|kind| value_type(*kind, strings)).collect();
        let cpu = self.kinds.iter().find(|(name, _)| *name == "cpu").or(self.kinds.last());
        (types, cpu.map_or(0, |(name, _)| strings.index(name)))
    }

    pub(super) fn period(&self, strings: &mut Strings) -> (Option<proto::ValueType>, i64) {
        self.period.map_or((None, 0), |(kind, period)| (Some(value_type(kind, strings)), period))
    }
}

/// The kinds of values of a profile: its own type and, where that counts events of a known period, the quantity that
/// they stand for.
fn of_profile<'a>(profile: &Profile, lookup: Lookup<'a>) -> (Kind<'a>, Option<Kind<'a>>) {
    let counted = profile.sample_type.map_or(("samples", COUNT), |kind_of| kind(kind_of, lookup));
    let period = profile.period_type.filter(|_| profile.period > 0 && counted.1 == COUNT);
    let measured = period.map(|period| kind(period, lookup)).filter(|measured| *measured != counted);
    (counted, measured)
}

fn kind<'a>(value_type: ValueType, lookup: Lookup<'a>) -> Kind<'a> {
    (lookup.string(value_type.type_strindex), lookup.string(value_type.unit_strindex))
}

fn value_type((name, unit): Kind<'_>, strings: &mut Strings) -> proto::ValueType {
    proto::ValueType { r#type: strings.index(name), unit: strings.index(unit) }
}
