//! The table as text for Prometheus.

use std::fmt::{self, Write};
use std::time::Duration;

use confighttp::Format;

use crate::config::Config;
use crate::labels::REASON;
use crate::series_labels::SeriesLabels;
use crate::table::{Snapshot, Totals};

/// The text of a snapshot.
pub(crate) fn render(snapshot: &Snapshot, config: &Config, format: Format) -> String {
    let mut page =
        Page { text: String::new(), config, format, timestamp: timestamp(snapshot, config, format) };
    // Nothing that is written to a `String` fails.
    let _written = page.write(snapshot);
    page.text
}

/// The timestamp after each value: milliseconds in the text format, seconds in OpenMetrics.
fn timestamp(snapshot: &Snapshot, config: &Config, format: Format) -> String {
    let Some(as_of) = snapshot.as_of.filter(|_| config.send_timestamps) else { return String::new() };
    let millis = as_of.as_nanos() / 1_000_000;
    match format {
        Format::Text => format!(" {millis}"),
        Format::OpenMetrics => format!(" {}.{:03}", millis / 1000, millis % 1000),
    }
}

struct Page<'a> {
    text: String,
    config: &'a Config,
    format: Format,
    timestamp: String,
}

impl Page<'_> {
    fn write(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let cpu = |totals: &Totals| Seconds(totals.cpu);
        self.by_series(
            snapshot,
            "profile_cpu_seconds",
            "CPU time used by each executable, or whatever the labels name.",
            cpu,
        )?;
        let samples = |totals: &Totals| totals.samples;
        self.by_series(
            snapshot,
            "profile_samples",
            "Samples taken of each executable, or whatever the labels name.",
            samples,
        )?;
        let help =
            "Records that were due and will never come, by reason; where it begins with sample_, samples.";
        self.head("profile_lost_records", help)?;
        for (reason, count) in &snapshot.losses {
            self.line("profile_lost_records", &[(REASON, reason.as_str())], count)?;
        }
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        Ok(())
    }

    fn by_series<V: fmt::Display>(
        &mut self,
        snapshot: &Snapshot,
        family: &str,
        help: &str,
        value: impl Fn(&Totals) -> V,
    ) -> fmt::Result {
        self.head(family, help)?;
        for (who, totals) in &snapshot.series {
            self.of(family, who, &value(totals))?;
        }
        self.of(family, &SeriesLabels::other(), &value(&snapshot.other))
    }

    fn of(&mut self, family: &str, who: &SeriesLabels, value: &dyn fmt::Display) -> fmt::Result {
        let labels: Vec<_> = who.0.iter().map(|(name, value)| (*name, &**value)).collect();
        self.line(family, &labels, value)
    }

    /// Writes a counter's description. OpenMetrics names the family, the text format the name that its lines begin
    /// with.
    fn head(&mut self, family: &str, help: &str) -> fmt::Result {
        let namespace = Namespace(&self.config.namespace);
        let suffix = if self.format == Format::Text { "_total" } else { "" };
        let text = &mut self.text;
        writeln!(text, "# HELP {namespace}{family}{suffix} {help}")?;
        writeln!(text, "# TYPE {namespace}{family}{suffix} counter")?;
        if self.format == Format::OpenMetrics && family.ends_with("_seconds") {
            writeln!(text, "# UNIT {namespace}{family} seconds")?;
        }
        Ok(())
    }

    fn line(&mut self, family: &str, labels: &[(&str, &str)], value: &dyn fmt::Display) -> fmt::Result {
        let text = &mut self.text;
        write!(text, "{}{family}_total", Namespace(&self.config.namespace))?;
        let constant = self.config.const_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Series without a label have no braces.
        let mut before = '{';
        for (name, value) in constant.chain(labels.iter().copied()) {
            write!(text, "{before}{name}=\"{}\"", Escaped(value))?;
            before = ',';
        }
        let end = if before == '{' { "" } else { "}" };
        writeln!(text, "{end} {value}{}", self.timestamp)
    }
}

/// The part of a metric's name before the exporter's own.
struct Namespace<'a>(&'a str);

impl fmt::Display for Namespace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}_", self.0) }
    }
}

/// Seconds with all their nanoseconds: a sum of such numbers is exact where a fraction of binary floats would not be.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

/// A label's value, escaped: a process chooses its own path and name.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' => f.write_str("\\\"")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
