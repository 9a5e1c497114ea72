//! The configuration of `receivers::ebpf`: the keys that users may set.

use std::ops::RangeInclusive;
use std::time::Duration;

use configtypes::{ByteSize, Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::abi;

/// Keys of `receivers::ebpf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Samples per second of each CPU. A number that shares no factor with common timers (19, 97, 997) does not march
    /// in step with the programs that it measures.
    pub samples_per_second: u32,
    /// Time between two readings of the rings. Longer costs less and needs more buffer; shorter shows samples sooner.
    #[serde(with = "configtypes::GoDuration")]
    pub poll_interval: Duration,
    /// The way in which user stacks are followed.
    pub unwind: UnwindConfig,
}

/// Keys of `receivers::ebpf::unwind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnwindConfig {
    /// True if stacks are followed by the unwind tables of the files that their frames are in; false if by frame
    /// pointers alone.
    pub enabled: bool,
    /// The most kernel memory for rows that are built from those tables.
    pub max_memory: ByteSize,
    /// The most user frames of a stack; frames further out are cut off.
    pub max_frames: u32,
    /// Samples of each CPU that may leave the kernel with a copy of their stack in a second, if the tables of their
    /// code are still to be read: so that their stacks are whole, too. 0: no copies, such stacks follow frame pointers.
    pub raw_samples_per_second: u32,
}

impl UnwindConfig {
    /// Default of `max_memory`.
    pub const MAX_MEMORY: ByteSize = ByteSize::from_mib(64);
    /// Bounds of `max_memory`: room for the rules and the directory of pages, and the most that the kernel side can
    /// refer to.
    pub const MAX_MEMORY_BOUNDS: RangeInclusive<ByteSize> = ByteSize::from_mib(4)..=ByteSize::from_mib(256);
    /// Default of `max_frames`.
    pub const MAX_FRAMES: u32 = 256;
    /// Bounds of `max_frames`.
    pub const MAX_FRAMES_BOUNDS: RangeInclusive<u32> = 16..=abi::MAX_USER_FRAMES;

    /// Default of `raw_samples_per_second`.
    pub const RAW_SAMPLES_PER_SECOND: u32 = 500;
    /// Bounds of `raw_samples_per_second`: no more than samples.
    pub const RAW_SAMPLES_PER_SECOND_BOUNDS: RangeInclusive<u32> = 0..=10_000;

    fn validate(&self, faults: &mut Vec<Fault>) {
        if !Self::MAX_MEMORY_BOUNDS.contains(&self.max_memory) {
            let (least, most) = Self::MAX_MEMORY_BOUNDS.into_inner();
            let found = self.max_memory;
            let text = format!("must be from {least} to {most}, got {found}");
            faults.push(Fault::at(["unwind", "max_memory"], text));
        }
        if !Self::MAX_FRAMES_BOUNDS.contains(&self.max_frames) {
            let (least, most) = Self::MAX_FRAMES_BOUNDS.into_inner();
            let found = self.max_frames;
            let text = format!("must be from {least} to {most}, got {found}");
            faults.push(Fault::at(["unwind", "max_frames"], text));
        }
        if !Self::RAW_SAMPLES_PER_SECOND_BOUNDS.contains(&self.raw_samples_per_second) {
            let (least, most) = Self::RAW_SAMPLES_PER_SECOND_BOUNDS.into_inner();
            let found = self.raw_samples_per_second;
            let text = format!("must be from {least} to {most}, got {found}");
            faults.push(Fault::at(["unwind", "raw_samples_per_second"], text));
        }
    }
}

impl Default for UnwindConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_memory: Self::MAX_MEMORY,
            max_frames: Self::MAX_FRAMES,
            raw_samples_per_second: Self::RAW_SAMPLES_PER_SECOND,
        }
    }
}

impl Config {
    /// Default of `samples_per_second`.
    pub const SAMPLES_PER_SECOND: u32 = 19;
    /// Bounds of `samples_per_second`: above it the kernel's own limit on timer periods (10 us) comes close.
    pub const SAMPLES_PER_SECOND_BOUNDS: RangeInclusive<u32> = 1..=10_000;
    /// Default of `poll_interval`.
    pub const POLL_INTERVAL: Duration = Duration::from_millis(100);
    /// Bounds of `poll_interval`.
    pub const POLL_INTERVAL_BOUNDS: RangeInclusive<Duration> =
        Duration::from_millis(5)..=Duration::from_secs(5);

    /// The faults in the keys' values, each with its key and the expected value; empty if there is none.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !Self::SAMPLES_PER_SECOND_BOUNDS.contains(&self.samples_per_second) {
            let (least, most) = Self::SAMPLES_PER_SECOND_BOUNDS.into_inner();
            let found = self.samples_per_second;
            faults.push(Fault::at(
                ["samples_per_second"],
                format!("must be from {least} to {most}, got {found}"),
            ));
        }
        if !Self::POLL_INTERVAL_BOUNDS.contains(&self.poll_interval) {
            let (least, most) = Self::POLL_INTERVAL_BOUNDS.into_inner();
            let found = self.poll_interval;
            faults.push(Fault::at(
                ["poll_interval"],
                format!("must be from {least:?} to {most:?}, got {found:?}"),
            ));
        }
        self.unwind.validate(&mut faults);
        faults
    }

    /// CPU time that one sample stands for.
    #[must_use]
    pub fn period(&self) -> Duration {
        Duration::from_secs(1) / self.samples_per_second.max(1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            samples_per_second: Self::SAMPLES_PER_SECOND,
            poll_interval: Self::POLL_INTERVAL,
            unwind: UnwindConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_fault_is_named_at_once() {
        assert_eq!(Config::default().validate(), [""; 0]);
        let unwind = UnwindConfig {
            enabled: false,
            max_memory: ByteSize::from_mib(1),
            max_frames: 2000,
            raw_samples_per_second: 10_001,
        };
        let config = Config { samples_per_second: 0, poll_interval: Duration::from_secs(60), unwind };
        let keys: Vec<_> = config.validate().into_iter().map(|fault| fault.keys.join("::")).collect();
        let unwind =
            ["max_memory", "max_frames", "raw_samples_per_second"].map(|key| format!("unwind::{key}"));
        assert_eq!(keys[..2], ["samples_per_second", "poll_interval"]);
        assert_eq!(keys[2..], unwind);
    }
}
