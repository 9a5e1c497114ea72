//! The measurements of memory, and the limits that each is compared with.

use std::io;

use procfs::MemoryGroup;

use crate::config::Config;
use crate::limits::{Level, Limits};
use crate::machine::Machine;

/// Everything that bounds the agent's memory: its own, and the memory charged to its control group.
#[derive(Debug)]
pub(crate) struct Meters {
    machine: Machine,
    own: Limits,
    group: Option<(MemoryGroup, Limits)>,
}

/// A figure of memory in use, and its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub usage: u64,
    pub limits: Limits,
}

/// The readings of one look at the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readings {
    /// The agent's own memory.
    pub own: Reading,
    /// The memory charged to the agent's control group; `None` if no limit counts against it.
    pub group: Option<Reading>,
}

impl Meters {
    pub(crate) fn new(machine: Machine, config: &Config, own: Limits) -> Self {
        let limits = |group: MemoryGroup| {
            let limits = Limits::of_group(config, group.limit);
            (group, limits)
        };
        let group = machine.group().map(limits);
        Self { machine, own, group }
    }

    /// Limits of the memory charged to the group, if there are any.
    pub(crate) fn group_limits(&self) -> Option<Limits> {
        self.group.as_ref().map(|(_, limits)| *limits)
    }

    /// # Errors
    /// The errors of reading the agent's own memory. A group that cannot be read is passed over: it may be gone.
    pub(crate) fn look(&self) -> io::Result<Readings> {
        let own = Reading { usage: self.machine.usage()?, limits: self.own };
        let of_group = |(group, limits): &(MemoryGroup, Limits)| {
            Some(Reading { usage: group.charge().ok()?, limits: *limits })
        };
        Ok(Readings { own, group: self.group.as_ref().and_then(of_group) })
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
