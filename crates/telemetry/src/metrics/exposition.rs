//! Families as text: Prometheus' format 0.0.4, and OpenMetrics 1.0.
//!
//! The writer is our own code, since `metrics-exporter-prometheus`, which keeps the values, knows neither OpenMetrics
//! nor metrics of no type.

use std::fmt::{self, Write as _};

use confighttp::Format;

use super::family::{Distribution, Family, Kind, Series, Value};

/// Writes `families`, whose names and labels' names must be results of [`name`].
pub(crate) fn render(families: &[Family], format: Format) -> String {
    let mut text = String::new();
    for family in families {
        // Nothing that is written to a `String` fails.
        let _written = write_family(&mut text, family, format);
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

/// `text` as the name of a metric or a label: a character that is not allowed there becomes an underscore.
pub(crate) fn name(text: &str) -> String {
    let mut name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    name
}

fn write_family(text: &mut String, family: &Family, format: Format) -> fmt::Result {
    let Family { name, help, kind, series } = family;
    let (kind_name, suffix) = match (kind, format) {
        (Kind::Counter, _) => ("counter", "_total"),
        (Kind::Gauge, _) => ("gauge", ""),
        (Kind::Histogram, _) => ("histogram", ""),
        (Kind::Unknown, Format::Text) => ("untyped", ""),
        (Kind::Unknown, Format::OpenMetrics) => ("unknown", ""),
        (Kind::Info, Format::Text) => ("gauge", "_info"),
        (Kind::Info, Format::OpenMetrics) => ("info", "_info"),
    };
    // OpenMetrics names the family; the text format the name that its lines begin with.
    let described = if format == Format::Text { suffix } else { "" };
    writeln!(
        text,
        "# HELP {name}{described} {}",
        Escaped { text: help, quotes: format == Format::OpenMetrics }
    )?;
    writeln!(text, "# TYPE {name}{described} {kind_name}")?;
    let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
    if let (Some(unit), Format::OpenMetrics) = (unit, format) {
        writeln!(text, "# UNIT {name} {unit}")?;
    }
    for Series { labels, value } in series {
        match value {
            Value::Integer(value) => write_line(text, &[name, suffix], labels, None, value)?,
            Value::Float(value) => write_line(text, &[name, suffix], labels, None, &Number(*value))?,
            Value::Histogram(distribution) => write_histogram(text, name, labels, distribution, format)?,
        }
    }
    Ok(())
}

fn write_histogram(
    text: &mut String,
    name: &str,
    labels: &[(String, String)],
    distribution: &Distribution,
    format: Format,
) -> fmt::Result {
    for (bound, count) in &distribution.buckets {
        let le = match format {
            Format::Text => bound.to_string(),
            // There a bound is always written as a number with a point.
            Format::OpenMetrics => format!("{bound:?}"),
        };
        write_line(text, &[name, "_bucket"], labels, Some(("le", &le)), count)?;
    }
    write_line(text, &[name, "_bucket"], labels, Some(("le", "+Inf")), &distribution.count)?;
    write_line(text, &[name, "_sum"], labels, None, &Number(distribution.sum))?;
    write_line(text, &[name, "_count"], labels, None, &distribution.count)
}

fn write_line(
    text: &mut String,
    name: &[&str],
    labels: &[(String, String)],
    last: Option<(&str, &str)>,
    value: &dyn fmt::Display,
) -> fmt::Result {
    name.iter().for_each(|part| text.push_str(part));
    let mut before = '{';
    let labels = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in labels.chain(last) {
        write!(text, "{before}{key}=\"{}\"", Escaped { text: value, quotes: true })?;
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    writeln!(text, " {value}")
}

/// A value in the form of both formats.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            // `NaN` is written so.
            value => value.fmt(f),
        }
    }
}

/// A text whose characters that would end it are escaped.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.text.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.quotes => f.write_str("\\\"")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
