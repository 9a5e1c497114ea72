//! The choice of recorded metrics to expose at a level, and their exposed names and types.

use metrics::Unit;

use super::family::{Family, Kind, Series};
use super::recorded::{Instrument, Recorded};
use crate::config::{MetricsLevel, Prometheus};

/// Names of metrics that are exposed at `basic` too: they show whether the agent works, and what it costs.
const BASIC: &[&str] = &[
    "otelcol_receiver_accepted_profile_samples",
    "otelcol_receiver_ebpf_records_lost_total",
    "otelcol_receiver_ebpf_late_events_total",
    "otelcol_receiver_ebpf_watermark_lag_seconds",
    "otelcol_processor_procinfo_cache_hits_total",
    "otelcol_processor_procinfo_cache_misses_total",
    "otelcol_processor_procinfo_evicted_total",
    "otelcol_exporter_sent_profile_samples",
    "otelcol_exporter_send_failed_profile_samples",
    "otelcol_exporter_enqueue_failed_profile_samples",
    "otelcol_exporter_fanout_dropped_samples_total",
    "otelcol_exporter_fanout_given_up_samples_total",
    "otelcol_processor_memory_limiter_refused_profile_samples",
    "otelcol_exporter_queue_size",
    "otelcol_exporter_queue_capacity",
    "otelcol_process_uptime",
    "otelcol_process_cpu_seconds",
    "otelcol_process_memory_rss",
];

/// Names of metrics that are exposed at `detailed` only, as all histograms are. A name that ends in `_` stands for all
/// that begin so.
const DETAILED: &[&str] = &[
    // The kernel measures these at this level only: see `receiver-ebpf`.
    "otelcol_receiver_ebpf_program_",
    "otelcol_process_runtime_",
];

/// Names of counters that are no whole numbers, and so are recorded as gauges; beside those that end in `_total`.
const FLOAT_COUNTERS: &[&str] = &["otelcol_process_uptime", "otelcol_process_cpu_seconds"];

/// Bounds of histograms of bytes, as in the Collector: powers of two from 128 B to 16 MiB.
const BYTES: &[f64] = &[
    128.0,
    256.0,
    512.0,
    1024.0,
    2048.0,
    4096.0,
    8192.0,
    16_384.0,
    32_768.0,
    65_536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
];
/// Bounds of histograms of times, in seconds.
const SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Bounds of histograms of items, as in the Collector.
pub(super) const ITEMS: &[f64] = &[
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0,
    7000.0, 8000.0, 9000.0, 10_000.0, 20_000.0, 30_000.0, 50_000.0, 100_000.0,
];

/// Upper bounds of histograms, rising, by how their names end. All others have those of [`ITEMS`].
pub(super) const BOUNDS: &[(&str, &[f64])] =
    &[("_bytes", BYTES), ("_duration", SECONDS), ("_seconds", SECONDS)];

/// The configured choice of exposed metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Views {
    level: MetricsLevel,
    without_scope_info: bool,
    without_type_suffix: bool,
    without_units: bool,
}

impl Views {
    pub(crate) fn new(level: MetricsLevel, reader: &Prometheus) -> Self {
        let &Prometheus { without_scope_info, without_type_suffix, without_units, .. } = reader;
        Self { level, without_scope_info, without_type_suffix, without_units }
    }

    /// Returns the metric as it is exposed; `None` if it is not.
    pub(crate) fn apply(&self, metric: Recorded) -> Option<Family> {
        if least_level(&metric) > self.level {
            return None;
        }
        let Recorded { mut name, help, unit, instrument, mut series } = metric;
        let grows = instrument == Instrument::Counter
            || name.ends_with("_total")
            || FLOAT_COUNTERS.contains(&name.as_str());
        let says_total = name.ends_with("_total");
        if says_total {
            name.truncate(name.len() - "_total".len());
        }
        if let Some(unit) = unit_suffix(unit).filter(|unit| !self.without_units && !name.ends_with(unit)) {
            name.push_str(unit);
        }
        let kind = match instrument {
            Instrument::Histogram => Kind::Histogram,
            // A counter whose name does not end in `_total` is an error in OpenMetrics, and a fault to `promtool`.
            _ if grows && self.without_type_suffix && !says_total => Kind::Unknown,
            _ if grows => Kind::Counter,
            _ => Kind::Gauge,
        };
        if !self.without_scope_info {
            series.iter_mut().for_each(add_scope);
        }
        Some(Family { name, help, kind, series })
    }
}

fn least_level(metric: &Recorded) -> MetricsLevel {
    let name = metric.name.as_str();
    let detailed = |listed: &&str| name == *listed || listed.ends_with('_') && name.starts_with(*listed);
    if BASIC.contains(&name) {
        MetricsLevel::Basic
    } else if metric.instrument == Instrument::Histogram || DETAILED.iter().any(detailed) {
        MetricsLevel::Detailed
    } else {
        MetricsLevel::Normal
    }
}

/// The suffix that Prometheus' practice adds to a name for that unit.
fn unit_suffix(unit: Option<Unit>) -> Option<&'static str> {
    match unit? {
        Unit::Seconds => Some("_seconds"),
        Unit::Bytes => Some("_bytes"),
        _ => None,
    }
}

/// Adds the labels of the instrumentation scope: all of the agent is one.
fn add_scope(series: &mut Series) {
    let labels = [("otel_scope_name", "pipeline"), ("otel_scope_version", env!("CARGO_PKG_VERSION"))];
    series.labels.extend(labels.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::family::Value;

    fn recorded(name: &str, instrument: Instrument, unit: Option<Unit>) -> Recorded {
        let series = vec![Series { labels: Vec::new(), value: Value::Integer(1) }];
        Recorded { name: name.to_owned(), help: String::new(), unit, instrument, series }
    }

    /// Name and kind by which an endpoint of this configuration exposes a metric.
    fn exposed(views: &Views, name: &str, instrument: Instrument, unit: Option<Unit>) -> (String, Kind) {
        let family = views.apply(recorded(name, instrument, unit)).unwrap();
        (family.name, family.kind)
    }

    fn named(without_type_suffix: bool, without_units: bool) -> Views {
        let reader = Prometheus { without_type_suffix, without_units, ..Prometheus::default() };
        Views::new(MetricsLevel::Detailed, &reader)
    }

    #[test]
    fn by_default_names_are_as_recorded_and_only_a_counter_that_says_so_is_one() {
        let views = named(true, true);
        let of = |name, instrument| exposed(&views, name, instrument, Some(Unit::Bytes));
        assert_eq!(of("sent", Instrument::Counter), ("sent".to_owned(), Kind::Unknown));
        assert_eq!(of("lost_total", Instrument::Counter), ("lost".to_owned(), Kind::Counter));
        assert_eq!(of("run_seconds_total", Instrument::Gauge), ("run_seconds".to_owned(), Kind::Counter));
        assert_eq!(
            of("otelcol_process_uptime", Instrument::Gauge),
            ("otelcol_process_uptime".to_owned(), Kind::Unknown)
        );
        assert_eq!(of("rss", Instrument::Gauge), ("rss".to_owned(), Kind::Gauge));
        assert_eq!(of("size", Instrument::Histogram), ("size".to_owned(), Kind::Histogram));
    }

    #[test]
    fn suffixes_are_added_where_they_are_asked_for() {
        let counters = named(false, true);
        let of = |name| exposed(&counters, name, Instrument::Counter, None);
        assert_eq!(of("sent"), ("sent".to_owned(), Kind::Counter));
        assert_eq!(of("lost_total"), ("lost".to_owned(), Kind::Counter));
        let units = named(true, false);
        let of = |name, unit| exposed(&units, name, Instrument::Gauge, unit).0;
        assert_eq!(of("rss", Some(Unit::Bytes)), "rss_bytes");
        assert_eq!(of("cpu_seconds", Some(Unit::Seconds)), "cpu_seconds");
        assert_eq!(of("run_total", Some(Unit::Seconds)), "run_seconds");
        assert_eq!(of("known", Some(Unit::Count)), "known");
    }

    #[test]
    fn each_level_has_what_the_one_below_it_has_and_more() {
        let levels = |name, instrument| {
            [MetricsLevel::Basic, MetricsLevel::Normal, MetricsLevel::Detailed].map(|level| {
                let views = Views::new(level, &Prometheus::default());
                views.apply(recorded(name, instrument, None)).is_some()
            })
        };
        assert_eq!(levels("otelcol_receiver_accepted_profile_samples", Instrument::Counter), [true; 3]);
        assert_eq!(levels("whatever_total", Instrument::Counter), [false, true, true]);
        assert_eq!(levels("whatever", Instrument::Histogram), [false, false, true]);
        assert_eq!(
            levels("otelcol_receiver_ebpf_program_runs_total", Instrument::Counter),
            [false, false, true]
        );
    }

    #[test]
    fn the_scope_is_a_label_where_it_is_asked_for() {
        let reader = Prometheus { without_scope_info: false, ..Prometheus::default() };
        let views = Views::new(MetricsLevel::Normal, &reader);
        let family = views.apply(recorded("a", Instrument::Gauge, None)).unwrap();
        assert_eq!(family.series[0].labels[0], ("otel_scope_name".to_owned(), "pipeline".to_owned()));
    }

    #[test]
    fn bounds_rise() {
        for bounds in [BYTES, SECONDS, ITEMS] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }
}
