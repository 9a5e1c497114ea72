//! What is measured against which limits.

use std::io;

use procfs::MemoryGroup;

use crate::config::Config;
use crate::limits::{Level, Limits};
use crate::machine::Machine;

/// Everything that bounds the agent's memory: what it has for itself, and what is charged to its control groups.
#[derive(Debug)]
pub(crate) struct Meters {
    machine: Machine,
    own: Limits,
    groups: Vec<(MemoryGroup, Limits)>,
}

/// Memory in use, and its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub usage: u64,
    pub limits: Limits,
}

/// One look at all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readings {
    /// What the agent has for itself.
    pub own: Reading,
    /// The control group with the least room left; `None` if no group has a limit.
    pub group: Option<Reading>,
}

impl Meters {
    pub(crate) fn new(machine: Machine, config: &Config, own: Limits) -> Self {
        let limits = |group: MemoryGroup| {
            let limits = Limits::of_group(config, group.limit);
            (group, limits)
        };
        let groups = machine.groups().into_iter().map(limits).collect();
        Self { machine, own, groups }
    }

    /// Limits of the group that has the least, if there is one.
    pub(crate) fn group_limits(&self) -> Option<Limits> {
        self.groups.iter().map(|(_, limits)| *limits).min_by_key(|limits| limits.hard)
    }

    /// # Errors
    /// Those of reading the agent's own memory. A group that cannot be read is passed over: it may be gone.
    pub(crate) fn look(&self) -> io::Result<Readings> {
        let own = Reading { usage: self.machine.usage()?, limits: self.own };
        let of_group = |(group, limits): &(MemoryGroup, Limits)| {
            Some(Reading { usage: group.charge().ok()?, limits: *limits })
        };
        Ok(Readings { own, group: self.groups.iter().filter_map(of_group).min_by_key(Reading::room) })
    }
}

impl Reading {
    pub(crate) fn level(&self) -> Level {
        self.limits.level(self.usage)
    }

    /// Bytes up to the hard limit.
    pub(crate) fn room(&self) -> u64 {
        self.limits.hard.saturating_sub(self.usage)
    }
}

impl Readings {
    /// The reading that decides: the one nearest to its limits.
    pub(crate) fn nearest(&self) -> Reading {
        self.group.filter(|group| group.level() > self.own.level()).unwrap_or(self.own)
    }
}
