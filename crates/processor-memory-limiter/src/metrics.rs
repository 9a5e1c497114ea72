//! The component's metrics; their names stand here and nowhere else.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::limits::Limits;
use crate::meter::Readings;

// The names follow those that the Collector has for other signals.
const ACCEPTED: &str = "otelcol_processor_memory_limiter_accepted_profile_samples";
const REFUSED: &str = "otelcol_processor_memory_limiter_refused_profile_samples";
const USAGE: &str = "otelcol_processor_memory_limiter_usage_bytes";
const GROUP: &str = "otelcol_processor_memory_limiter_group_usage_bytes";
const LIMIT: &str = "otelcol_processor_memory_limiter_limit_bytes";
const DIVISOR: &str = "otelcol_processor_memory_limiter_rate_divisor";

/// The counters of the layer.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub accepted: Counter,
    pub refused: Counter,
}

impl Samples {
    /// Counters of the limiter with this id, which appear with 0.
    pub(crate) fn of(id: &str) -> Self {
        describe_counter!(ACCEPTED, "Samples passed on.");
        describe_counter!(REFUSED, "Samples dropped because the agent was above its memory limit.");
        let counter = |name| counter!(name, "processor" => id.to_owned());
        let samples = Self { accepted: counter(ACCEPTED), refused: counter(REFUSED) };
        samples.accepted.increment(0);
        samples.refused.increment(0);
        samples
    }
}

/// The gauges of the watch.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    usage: Gauge,
    /// Gauge of the control group's charge; `None` if no limit counts against it.
    group: Option<Gauge>,
    divisor: Gauge,
}

impl Memory {
    /// Gauges of the limiter with this id.
    pub(crate) fn of(id: &str, own: Limits, group: Option<Limits>) -> Self {
        describe_gauge!(USAGE, "The agent's own memory (anonymous, resident), as last looked at.");
        describe_gauge!(
            LIMIT,
            "Limits of the agent's own memory: soft, above which less is sampled, and hard; and those of what is \
             charged to its control group."
        );
        describe_gauge!(
            GROUP,
            "What is charged to the agent's control group, without the cache of files, as last looked at."
        );
        describe_gauge!(DIVISOR, "By what the sampling rate is divided to save memory.");
        let of_group = group.map(|group| [("group_soft", group.soft), ("group_hard", group.hard)]);
        let own = [("soft", own.soft), ("hard", own.hard)];
        for (kind, bytes) in own.into_iter().chain(of_group.into_iter().flatten()) {
            gauge!(LIMIT, "processor" => id.to_owned(), "kind" => kind).set(bytes as f64);
        }
        let gauge = |name| gauge!(name, "processor" => id.to_owned());
        Self { usage: gauge(USAGE), group: group.map(|_| gauge(GROUP)), divisor: gauge(DIVISOR) }
    }

    pub(crate) fn show(&self, look: &Readings, divisor: u32) {
        self.usage.set(look.own.usage as f64);
        if let (Some(gauge), Some(group)) = (&self.group, look.group) {
            gauge.set(group.usage as f64);
        }
        self.divisor.set(divisor);
    }
}
