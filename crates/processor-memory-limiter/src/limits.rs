//! From the configuration, and the memory there is, to limits in bytes.

use crate::config::Config;
use crate::error::StartError;

const MIB: u64 = 1 << 20;
/// The Collector's default for the spike limit, in percent of the hard limit.
const SPIKE_PERCENT_OF_LIMIT: u64 = 20;

/// Limits of the agent's own memory, bytes; `soft` is below `hard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Above it less is sampled.
    pub soft: u64,
    /// Above it samples are dropped.
    pub hard: u64,
}

impl Limits {
    /// The limits where there are `total` bytes of memory, as far as that is known.
    pub(crate) fn of(config: &Config, total: Option<u64>) -> Result<Self, StartError> {
        let percent = |percent: u32| match total {
            Some(total) => Ok(total / 100 * u64::from(percent)),
            None => Err(StartError::NoMemory),
        };
        let hard = match config.limit_mib {
            Some(limit) => u64::from(limit) * MIB,
            None => percent(config.limit_percentage)?,
        };
        let spike = match (config.spike_limit_mib, config.spike_limit_percentage) {
            (Some(spike), _) => u64::from(spike) * MIB,
            (None, Some(spike)) => percent(spike)?,
            (None, None) => hard / 100 * SPIKE_PERCENT_OF_LIMIT,
        };
        match hard.checked_sub(spike) {
            Some(soft) if soft > 0 => Ok(Self { soft, hard }),
            _ => Err(StartError::Spike { spike, limit: hard }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: Option<u64> = Some(1000 * MIB);

    #[test]
    fn percentages_are_of_what_there_is_and_the_default_spike_of_the_limit() {
        let limits = Limits::of(&Config::default(), TOTAL).unwrap();
        assert_eq!(limits.hard, 1000 * MIB / 100 * 80);
        assert_eq!(limits.soft, limits.hard - limits.hard / 100 * 20);
        let config = Config { spike_limit_percentage: Some(30), ..Config::default() };
        assert_eq!(Limits::of(&config, TOTAL).unwrap().soft, 1000 * MIB / 100 * 50);
    }

    #[test]
    fn what_is_given_in_mib_goes_first_and_needs_nothing_of_the_machine() {
        let config = Config { limit_mib: Some(100), spike_limit_mib: Some(30), ..Config::default() };
        assert_eq!(Limits::of(&config, None).unwrap(), Limits { soft: 70 * MIB, hard: 100 * MIB });
        assert!(matches!(Limits::of(&Config::default(), None), Err(StartError::NoMemory)));
    }

    #[test]
    fn a_spike_limit_above_the_limit_is_refused() {
        let config = Config { limit_mib: Some(100), spike_limit_percentage: Some(10), ..Config::default() };
        assert!(
            matches!(Limits::of(&config, TOTAL), Err(StartError::Spike { limit, .. }) if limit == 100 * MIB)
        );
    }
}
