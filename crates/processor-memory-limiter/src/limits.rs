//! Limits in bytes, made from the configuration and the memory there is.

use crate::config::Config;
use crate::error::StartError;

const MIB: u64 = 1 << 20;
/// The Collector's default for the spike limit, in percent of the hard limit.
const SPIKE_PERCENT_OF_LIMIT: u64 = 20;
/// Part of a group's hard limit, as a divisor, by which the soft limit is below it.
const SPIKE_PART_OF_GROUP: u64 = 10;
/// Percent of the soft limit by which memory in use has to be below it to count as spare. In between, the rate stays as
/// it is.
const MARGIN_PERCENT: u64 = 10;

/// The distance of the memory in use from its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The agent has memory to spare.
    Spare,
    /// The memory in use is below the soft limit, and near it.
    Near,
    /// The memory in use is above the soft limit.
    AboveSoft,
    /// The memory in use is above the hard limit.
    AboveHard,
}

/// Limits of memory in use, bytes; `soft` is below `hard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The soft limit; above it fewer samples are taken.
    pub soft: u64,
    /// The hard limit; above it samples are dropped.
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

    /// The limits of the memory charged to a control group that may hold `limit` bytes.
    ///
    /// Those limits stand beside those of the agent's own memory, since the kernel kills by the charge, which holds BPF
    /// maps and sockets as well. These take their memory at rest already, so the two limits are nearer to each other.
    pub(crate) fn of_group(config: &Config, limit: u64) -> Self {
        let hard = limit / 100 * u64::from(config.limit_percentage);
        let spike = config.spike_limit_percentage.map(|spike| limit / 100 * u64::from(spike));
        let spike = spike.filter(|spike| *spike < hard).unwrap_or(hard / SPIKE_PART_OF_GROUP);
        Self { soft: hard - spike, hard }
    }

    /// The level of `usage` bytes in use.
    pub(crate) fn level(&self, usage: u64) -> Level {
        match usage {
            _ if usage > self.hard => Level::AboveHard,
            _ if usage > self.soft => Level::AboveSoft,
            _ if usage > self.soft - self.soft / 100 * MARGIN_PERCENT => Level::Near,
            _ => Level::Spare,
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
    fn a_group_has_percentages_of_its_limit_whatever_the_agent_may_have_for_itself() {
        let config = Config { limit_mib: Some(1000), ..Config::default() };
        let group = Limits::of_group(&config, 100 * MIB);
        assert_eq!((group.soft / MIB, group.hard / MIB), (72, 80));
        let config = Config { spike_limit_percentage: Some(30), ..Config::default() };
        assert_eq!(Limits::of_group(&config, 100 * MIB).soft / MIB, 50);
    }

    #[test]
    fn a_spike_limit_above_the_limit_is_refused() {
        let config = Config { limit_mib: Some(100), spike_limit_percentage: Some(10), ..Config::default() };
        assert!(
            matches!(Limits::of(&config, TOTAL), Err(StartError::Spike { limit, .. }) if limit == 100 * MIB)
        );
    }
}
