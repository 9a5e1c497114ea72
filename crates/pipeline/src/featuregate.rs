//! Feature gates, in the Collector's form: so far for one feature, which is always on.

use thiserror::Error;

/// A feature that can be switched on or off.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// The gate's name.
    pub id: &'static str,
    /// The maturity of the feature, in the Collector's words.
    pub stage: &'static str,
    /// Whether the gate is on.
    pub enabled: bool,
    /// A sentence about the feature that the gate switches.
    pub description: &'static str,
    /// The version that introduced the gate.
    pub from_version: &'static str,
}

/// All gates.
pub static GATES: &[Gate] = &[Gate {
    id: "service.profilesSupport",
    stage: "Stable",
    enabled: true,
    description: "Profiles, which a Collector has behind this gate: always on here",
    from_version: "v0.1.0",
}];

/// A gate that cannot be switched as asked. Texts are the Collector's.
#[derive(Debug, Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum GateError {
    /// No gate has this name.
    #[error("no such feature gate {gate:?}. valid gates: {}", valid())]
    Unknown { gate: String },
    /// The gate is always on.
    #[error("feature gate {gate:?} is stable, can not be disabled")]
    Stable { gate: String },
}

impl Gate {
    /// The gate with this name.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        GATES.iter().find(|gate| gate.id == id)
    }

    /// Checks that a gate is as `flag` demands: `name` or `+name` on, `-name` off. Returns the name of a gate that only
    /// a Collector has, `component.feature`, which switches nothing here.
    ///
    /// # Errors
    /// [`GateError`] for a gate that neither has, or that would have to be switched.
    pub fn check(flag: &str) -> Result<Option<&str>, GateError> {
        let (off, name) = match flag.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, flag.strip_prefix('+').unwrap_or(flag)),
        };
        let gate = name.to_owned();
        match Self::find(name) {
            None if is_collectors(name) => Ok(Some(name)),
            None => Err(GateError::Unknown { gate }),
            Some(_) if off => Err(GateError::Stable { gate }),
            Some(_) => Ok(None),
        }
    }
}

/// True if a name has the form of a Collector's gates: parts of letters, digits and underscores, with dots between
/// them.
fn is_collectors(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.contains('.') && name.split('.').all(is_part)
}

fn valid() -> String {
    let ids: Vec<_> = GATES.iter().map(|gate| gate.id).collect();
    format!("[{}]", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collectors_gate_is_noticed_and_a_misspelt_one_refused() {
        assert_eq!(Gate::check("service.profilesSupport"), Ok(None));
        assert_eq!(Gate::check("+service.profilesSupport"), Ok(None));
        for flag in ["telemetry.newPipelineTelemetry", "-telemetry.newPipelineTelemetry"] {
            assert_eq!(Gate::check(flag), Ok(Some("telemetry.newPipelineTelemetry")));
        }
        assert!(matches!(Gate::check("-service.profilesSupport"), Err(GateError::Stable { .. })));
        for flag in ["profilesSupport", "", ".", "a..b", "a.b c"] {
            assert!(matches!(Gate::check(flag), Err(GateError::Unknown { .. })), "{flag}");
        }
    }
}
