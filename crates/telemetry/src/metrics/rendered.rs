//! Text that `metrics-exporter-prometheus` has rendered, read back as values.

use std::collections::BTreeMap;

use super::family::{Distribution, Value};
use super::plain;
use super::recorded::Instrument;

/// Labels by their names.
pub(super) type Labels = BTreeMap<String, String>;

/// The series of one name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rendered {
    pub(super) instrument: Instrument,
    pub(super) series: BTreeMap<Labels, Value>,
}

/// Metrics by name. A line that the renderer would not write is passed over; a name that two instruments share is the
/// first one's, for no format lets it be both.
pub(super) fn parse(text: &str) -> BTreeMap<String, Rendered> {
    let mut found: BTreeMap<String, Rendered> = BTreeMap::new();
    // Name and instrument of the lines that follow.
    let mut current: Option<(&str, Instrument)> = None;
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            current = declaration(declared);
            if let Some((name, instrument)) = current {
                let new = || Rendered { instrument, series: BTreeMap::new() };
                found.entry(name.to_owned()).or_insert_with(new);
            }
        } else if let Some((name, instrument)) = current
            && let Some(metric) = found.get_mut(name).filter(|metric| metric.instrument == instrument)
        {
            let _passed_over = add(metric, name, line);
        }
    }
    found
}

fn declaration(text: &str) -> Option<(&str, Instrument)> {
    let (name, kind) = text.split_once(' ')?;
    let instrument = match kind {
        "counter" => Instrument::Counter,
        "gauge" => Instrument::Gauge,
        "histogram" => Instrument::Histogram,
        _ => return None,
    };
    Some((name, instrument))
}

/// Adds a line's value to `metric`; `None` if the line is of another metric or of none.
fn add(metric: &mut Rendered, name: &str, line: &str) -> Option<()> {
    let (head, value) = line.rsplit_once(' ')?;
    let (full_name, labels) = head.strip_suffix('}').map_or(Some((head, "")), |head| head.split_once('{'))?;
    let mut labels = read_labels(labels)?;
    let part = full_name.strip_prefix(name)?;
    match metric.instrument {
        Instrument::Counter if part.is_empty() => {
            metric.series.insert(labels, Value::Integer(value.parse().ok()?));
        }
        Instrument::Gauge if part.is_empty() => {
            metric.series.insert(labels, Value::Float(value.parse().ok()?));
        }
        Instrument::Histogram => {
            let bound = labels.remove("le");
            let empty = Value::Histogram(Distribution { buckets: Vec::new(), count: 0, sum: 0.0 });
            let Value::Histogram(distribution) = metric.series.entry(labels).or_insert(empty) else {
                return None;
            };
            match (part, bound.as_deref()) {
                // The one of all values is the count.
                ("_bucket", Some("+Inf")) => {}
                ("_bucket", Some(bound)) => {
                    distribution.buckets.push((bound.parse().ok()?, value.parse().ok()?));
                }
                ("_sum", None) => distribution.sum = value.parse().ok()?,
                ("_count", None) => distribution.count = value.parse().ok()?,
                _ => return None,
            }
        }
        _ => return None,
    }
    Some(())
}

/// Reads `a="x",b="y"`; the values are [plain](plain), but for that of `le`.
fn read_labels(text: &str) -> Option<Labels> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let value = if key == "le" { value.to_owned() } else { plain::decode(value)? };
        Some((key.to_owned(), value))
    };
    pairs.map(read).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn each_kind_is_read_and_what_is_neither_passed_over() {
        let text = "# HELP a what\n# TYPE a counter\na{k=\"v%20w\"} 3\na 4\nnoise\n\n# TYPE b gauge\nb -0.5\n\n\
            # TYPE a gauge\na 7\n\n# TYPE q summary\nq 1\n\n# TYPE h histogram\nh_bucket{p=\"x\",le=\"0.5\"} 1\n\
            h_bucket{p=\"x\",le=\"+Inf\"} 2\nh_sum{p=\"x\"} 9.5\nh_count{p=\"x\"} 2\n";
        let found = parse(text);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b", "h"]);
        let expected = [(labels(&[]), Value::Integer(4)), (labels(&[("k", "v w")]), Value::Integer(3))];
        assert_eq!(found["a"], Rendered { instrument: Instrument::Counter, series: expected.into() });
        assert_eq!(found["b"].series[&labels(&[])], Value::Float(-0.5));
        let distribution = Distribution { buckets: vec![(0.5, 1)], count: 2, sum: 9.5 };
        assert_eq!(found["h"].series[&labels(&[("p", "x")])], Value::Histogram(distribution));
    }

    proptest! {
        /// Any text is read or passed over.
        #[test]
        fn any_text_is_read_or_passed_over(
            text in "(.|\n)*",
            lines in "((# TYPE )?[ab]?(_bucket|_sum)? ?(counter|gauge|histogram)?\\{?k?=?\"?%?,?\\}? ?[0-9]?\n)*",
        ) {
            let _any = (parse(&text), parse(&lines));
        }
    }
}
