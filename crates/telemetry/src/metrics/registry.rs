//! Where the `metrics` macros record, and what a scrape finds.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::Storage;

use super::exposition;
use super::family::{Series, Value};
use super::histogram::Buckets;
use super::view;

/// All metrics of the process. A clone is the same registry.
#[derive(Clone, Debug)]
pub(crate) struct Registry(Arc<Inner>);

struct Inner {
    metrics: metrics_util::registry::Registry<Key, Store>,
    meanings: Mutex<HashMap<String, Meaning>>,
}

/// What a metric means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meaning {
    pub(crate) help: SharedString,
    pub(crate) unit: Option<Unit>,
}

/// All series of one name, as they were recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) unit: Option<Unit>,
    pub(crate) instrument: Instrument,
    pub(crate) series: Vec<Series>,
}

/// The macro that recorded a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instrument {
    Counter,
    Gauge,
    Histogram,
}

/// Makes the cells that the macros write to.
#[derive(Debug)]
struct Store;

impl Storage<Key> for Store {
    type Counter = Arc<AtomicU64>;
    type Gauge = Arc<AtomicU64>;
    type Histogram = Arc<Buckets>;

    fn counter(&self, _key: &Key) -> Self::Counter {
        Arc::default()
    }

    fn gauge(&self, _key: &Key) -> Self::Gauge {
        Arc::default()
    }

    fn histogram(&self, key: &Key) -> Self::Histogram {
        Arc::new(Buckets::new(view::bounds(key.name())))
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        let metrics = metrics_util::registry::Registry::new(Store);
        Self(Arc::new(Inner { metrics, meanings: Mutex::default() }))
    }

    /// Everything recorded up to now, by name and labels. A name that two macros use is that of the first of
    /// counter, gauge and histogram: no format lets it be both.
    pub(crate) fn collect(&self) -> Vec<Recorded> {
        let mut found: BTreeMap<String, (Instrument, BTreeMap<Labels, Value>)> = BTreeMap::new();
        let mut add = |key: &Key, instrument, value| {
            let (of, series) =
                found.entry(exposition::name(key.name())).or_insert_with(|| (instrument, BTreeMap::new()));
            if *of == instrument {
                series.insert(labels(key), value);
            }
        };
        let metrics = &self.0.metrics;
        metrics.visit_counters(|key, cell| {
            add(key, Instrument::Counter, Value::Integer(cell.load(Ordering::Relaxed)));
        });
        metrics.visit_gauges(|key, cell| {
            add(key, Instrument::Gauge, Value::Float(f64::from_bits(cell.load(Ordering::Relaxed))));
        });
        metrics.visit_histograms(|key, buckets| {
            add(key, Instrument::Histogram, Value::Histogram(buckets.distribution()));
        });
        let meanings = self.0.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = |(name, (instrument, series)): (String, (_, BTreeMap<Labels, Value>))| {
            let Meaning { help, unit } = meanings.get(&name).cloned().unwrap_or_default();
            let series = series.into_iter().map(|(labels, value)| Series { labels, value }).collect();
            Recorded { name, help: help.into_owned(), unit, instrument, series }
        };
        found.into_iter().map(recorded).collect()
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, help: SharedString) {
        let mut meanings = self.0.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        // The first says it: crates that share a name agree, or its owner described it first.
        meanings.entry(exposition::name(name.as_str())).or_insert(Meaning { help, unit });
    }
}

type Labels = Vec<(String, String)>;

/// The labels of `key` by their names, each once.
fn labels(key: &Key) -> Labels {
    let labels: BTreeMap<_, _> =
        key.labels().map(|label| (exposition::name(label.key()), label.value().to_owned())).collect();
    labels.into_iter().collect()
}

impl Recorder for Registry {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, help);
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        self.0.metrics.get_or_create_counter(&key.to_retained(), |cell| cell.clone().into())
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        self.0.metrics.get_or_create_gauge(&key.to_retained(), |cell| cell.clone().into())
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        self.0.metrics.get_or_create_histogram(&key.to_retained(), |cell| cell.clone().into())
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, describe_counter, gauge, histogram, with_local_recorder};

    use super::*;

    #[test]
    fn what_the_macros_record_is_found_by_name_and_labels() {
        let registry = Registry::new();
        with_local_recorder(&registry, || {
            describe_counter!("runs.total", Unit::Count, "Runs.");
            counter!("runs.total", "b" => "2", "a" => "1").increment(2);
            counter!("runs.total", "a" => "0", "b" => "9").increment(1);
            gauge!("depth").set(0.5);
            // The name is taken.
            gauge!("runs.total").set(1.0);
            histogram!("size_bytes").record(200.0);
        });
        let found = registry.collect();
        let names: Vec<_> = found.iter().map(|metric| (metric.name.as_str(), metric.instrument)).collect();
        assert_eq!(
            names,
            [
                ("depth", Instrument::Gauge),
                ("runs_total", Instrument::Counter),
                ("size_bytes", Instrument::Histogram),
            ]
        );
        assert_eq!(found[1].help, "Runs.");
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            found[1].series,
            [
                Series { labels: vec![label("a", "0"), label("b", "9")], value: Value::Integer(1) },
                Series { labels: vec![label("a", "1"), label("b", "2")], value: Value::Integer(2) },
            ]
        );
        let Value::Histogram(sizes) = &found[2].series[0].value else { panic!("{found:?}") };
        assert_eq!((sizes.count, sizes.buckets[0], sizes.buckets[1]), (1, (128.0, 0), (256.0, 1)));
    }
}
