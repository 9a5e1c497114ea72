//! The registry in which the `metrics` macros record, and from which a scrape collects.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::family::Series;
use super::recorded::Recorded;
use super::{exposition, plain, rendered, view};

/// Time after which recorded values of histograms are put into their buckets, even if nobody
/// scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// All metrics of the process. A clone is the same registry.
#[derive(Clone)]
pub(crate) struct Registry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    meanings: Arc<Mutex<HashMap<String, Meaning>>>,
}

/// The description of a metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meaning {
    pub(crate) help: SharedString,
    pub(crate) unit: Option<Unit>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        // Only bounds that are none at all would be refused.
        let recorder = builder().unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        Self { recorder: Arc::new(recorder), handle, meanings: Arc::default() }
    }

    /// Everything recorded up to now, by name and labels.
    pub(crate) fn collect(&self) -> Vec<Recorded> {
        let found = rendered::parse(&self.handle.render());
        let meanings = self.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = |(name, metric): (String, rendered::Rendered)| {
            let Meaning { help, unit } = meanings.get(&name).cloned().unwrap_or_default();
            let series = metric.series.into_iter();
            let series = series.map(|(labels, value)| Series { labels: labels.into_iter().collect(), value });
            Recorded {
                name,
                help: help.into_owned(),
                unit,
                instrument: metric.instrument,
                series: series.collect(),
            }
        };
        found.into_iter().map(recorded).collect()
    }

    /// Keeps histograms from growing while nobody scrapes, for ever.
    pub(crate) async fn upkeep(self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, help: SharedString) {
        let mut meanings = self.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        // The first description stays: crates that share a name agree, or its owner described it
        // first.
        meanings.entry(exposition::name(name.as_str())).or_insert(Meaning { help, unit });
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    view::BOUNDS.iter().try_fold(
        PrometheusBuilder::new().set_buckets(view::ITEMS)?,
        |builder, (suffix, bounds)| {
            builder.set_buckets_for_metric(Matcher::Suffix((*suffix).to_owned()), bounds)
        },
    )
}

/// `key` with a name that every format allows, and label values that no format has to escape.
fn plain_key(key: &Key) -> Key {
    let label = |label: &Label| Label::new(exposition::name(label.key()), plain::encode(label.value()));
    Key::from_parts(exposition::name(key.name()), key.labels().map(label).collect::<Vec<_>>())
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

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.recorder.register_counter(&plain_key(key), metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.recorder.register_gauge(&plain_key(key), metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.recorder.register_histogram(&plain_key(key), metadata)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, describe_counter, gauge, histogram, with_local_recorder};

    use super::super::recorded::Instrument;
    use super::*;
    use crate::metrics::family::Value;

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

    proptest::proptest! {
        /// A label's value is found again, whatever it holds.
        #[test]
        fn any_label_value_is_found_again(value in "(.|[\\\\\"\n])*") {
            let registry = Registry::new();
            with_local_recorder(&registry, || counter!("a", "k" => value.clone()).increment(1));
            let found = registry.collect();
            proptest::prop_assert_eq!(&found[0].series[0].labels, &[("k".to_owned(), value)]);
        }
    }
}
