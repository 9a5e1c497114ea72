//! Metrics in Prometheus's text format, fetched and read.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::http;

/// The metrics of one scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Fetches `/metrics` from a port of the loopback interface.
    ///
    /// # Errors
    /// If the server cannot be reached or does not answer 200.
    pub fn scrape(port: u16) -> io::Result<Self> {
        Ok(Self::parse(&Self::text(port)?))
    }

    /// Fetches `/metrics` as text.
    ///
    /// # Errors
    /// The same as of [`scrape`](Self::scrape).
    pub fn text(port: u16) -> io::Result<String> {
        let answer = http::get(port, "/metrics")?;
        if answer.status == 200 { Ok(answer.body) } else { Err(io::Error::other(answer.head)) }
    }

    /// Names of all series.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.series.iter().map(|series| series.name.as_str()).collect()
    }

    /// Reads the text format; lines that are no series (comments, damaged lines) are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self { series: text.lines().filter_map(series).collect() }
    }

    /// Sum of the series of this name with at least these labels; `None` if there is none.
    #[must_use]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let matching = |series: &&Series| {
            series.name == name
                && labels.iter().all(|&(key, value)| series.labels.get(key).is_some_and(|have| have == value))
        };
        let values = self.series.iter().filter(matching).map(|series| series.value);
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    /// The same as [`get`](Self::get), as a count; 0 if there is no such series.
    #[must_use]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are small")]
        let count = self.get(name, labels).unwrap_or_default() as u64;
        count
    }

    /// Sum of the series of this name for each value of `label`.
    #[must_use]
    pub fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        self.by_labels(name, [label]).into_iter().map(|([value], sum)| (value, sum)).collect()
    }

    /// Sums of a family by the values of some labels; a label that a series does not have is empty.
    #[must_use]
    pub fn by_labels<const N: usize>(&self, name: &str, labels: [&str; N]) -> BTreeMap<[String; N], f64> {
        let mut sums = BTreeMap::new();
        for series in self.series.iter().filter(|series| series.name == name) {
            let values = labels.map(|label| series.labels.get(label).cloned().unwrap_or_default());
            *sums.entry(values).or_insert(0.0) += series.value;
        }
        sums
    }
}

/// Reads a series: `name{key="value",...} number`.
fn series(line: &str) -> Option<Series> {
    let line = line.trim();
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(name_end)?;
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Series { name: name.to_owned(), labels, value })
}

/// Reads `key="value",...}`, and returns the text behind it, too.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(key.to_owned(), value);
        rest = after;
    }
}

/// Reads a text up to its closing quote, with `\\`, `\"` and `\n` unescaped, and returns the text behind it, too.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names, labels with escapes, comments and a time stamp are read as the format defines them.
    #[test]
    fn the_text_format_is_read() {
        let metrics = Metrics::parse(
            "# TYPE lost counter\nlost{reason=\"a\"} 2\nlost{reason=\"b \\\"}\\n\",x=\"1\"} 3 1700\nup 1.5\n",
        );
        assert_eq!(metrics.get("lost", &[]), Some(5.0));
        assert_eq!(metrics.count("lost", &[("reason", "b \"}\n")]), 3);
        assert_eq!(metrics.get("lost", &[("reason", "c")]), None);
        assert_eq!(metrics.get("up", &[]), Some(1.5));
        assert_eq!(metrics.by_label("lost", "x"), [(String::new(), 2.0), ("1".to_owned(), 3.0)].into());
    }

    proptest! {
        /// Any text is read or skipped without a panic.
        #[test]
        fn any_text_is_read_or_skipped(text in "(.|\n)*", lines in "(a\\{?k?=?\"?\\\\?,?\\}? ?[0-9]?\n)*") {
            _ = Metrics::parse(&text);
            _ = Metrics::parse(&lines);
        }
    }
}
