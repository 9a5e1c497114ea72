//! An event as one line: for people, or with the Collector's keys as JSON.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::fields::Fields;
use crate::config::{LogEncoding, Logs};

/// Keys of a JSON line that no field takes: such a field gets an underscore.
const KEYS: [&str; 5] = ["level", "ts", "caller", "msg", "resource"];

/// The layout of log lines.
#[derive(Debug)]
pub(super) struct Style {
    encoding: LogEncoding,
    caller: bool,
    colours: bool,
    /// Fields of every line.
    fields: Vec<(String, Value)>,
}

impl Style {
    pub(super) fn new(config: &Logs, resource: &[(String, String)], colours: bool) -> Self {
        let mut fields: Vec<_> =
            config.initial_fields.iter().map(|(key, value)| (free(key), value.clone())).collect();
        if !config.disable_zap_resource {
            let resource: Map<_, _> =
                resource.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            fields.push(("resource".to_owned(), resource.into()));
        }
        Self { encoding: config.encoding, caller: !config.disable_caller, colours, fields }
    }

    /// The line of an event, with its end.
    pub(super) fn line(&self, event: &Event<'_>) -> String {
        let mut time = String::new();
        // Nothing that is written to a `String` fails.
        let _written = SystemTime.format_time(&mut Writer::new(&mut time));
        let (metadata, fields) = (event.metadata(), Fields::of(event));
        match self.encoding {
            LogEncoding::Console => self.console(&time, metadata, fields),
            LogEncoding::Json => self.json(time, metadata, fields),
        }
    }

    fn json(&self, time: String, metadata: &Metadata<'_>, fields: Fields) -> String {
        let mut line = Line(Vec::new());
        line.set("level".to_owned(), level(*metadata.level()).into());
        line.set("ts".to_owned(), time.into());
        if let Some(caller) = self.caller(metadata) {
            line.set("caller".to_owned(), caller.into());
        }
        line.set("msg".to_owned(), fields.message.into());
        self.fields.iter().for_each(|(key, value)| line.set(key.clone(), value.clone()));
        fields.fields.into_iter().for_each(|(key, value)| line.set(free(key), value));
        // Texts and numbers are never refused.
        let mut line = serde_json::to_string(&line).unwrap_or_default();
        line.push('\n');
        line
    }

    fn console(&self, time: &str, metadata: &Metadata<'_>, fields: Fields) -> String {
        let mut line = match self.colours {
            true => format!("\x1b[2m{time}\x1b[0m {} ", coloured(*metadata.level())),
            false => format!("{time} {:>5} ", metadata.level().as_str()),
        };
        if let Some(caller) = self.caller(metadata) {
            let _written = write!(line, "{caller}: ");
        }
        one_line(&mut line, &fields.message);
        let event = fields.fields.iter().map(|(key, value)| (*key, value));
        let every = self.fields.iter().map(|(key, value)| (key.as_str(), value));
        for (key, value) in event.chain(every) {
            let _written = write!(line, " {key}=");
            match value {
                Value::String(text) if !needs_quotes(text) => line.push_str(text),
                value => one_line(&mut line, &value.to_string()),
            }
        }
        line.push('\n');
        line
    }

    /// File and line in the source that the event comes from.
    fn caller(&self, metadata: &Metadata<'_>) -> Option<String> {
        let (file, line) = (metadata.file()?, metadata.line()?);
        self.caller.then(|| format!("{file}:{line}"))
    }
}

/// A JSON object whose keys stay in their order, so that lines begin alike.
struct Line(Vec<(String, Value)>);

impl Line {
    /// Sets a key, which a line has only once: an event's value replaces the value of every line.
    fn set(&mut self, key: String, value: Value) {
        match self.0.iter_mut().find(|(taken, _)| *taken == key) {
            Some((_, taken)) => *taken = value,
            None => self.0.push((key, value)),
        }
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// The level as the Collector writes it.
pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

fn coloured(level: Level) -> String {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 34,
    };
    format!("\x1b[{colour}m{:>5}\x1b[0m", level.as_str())
}

/// The key as it is, or with an underscore if every line has it already.
fn free(key: &str) -> String {
    if KEYS.contains(&key) { format!("{key}_") } else { key.to_owned() }
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.contains(|c: char| c.is_whitespace() || textline::is_unseen(c) || c == '"' || c == '=')
}

/// Appends `text`; characters that could end the line or steer a terminal are escaped.
fn one_line(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            c if textline::is_unseen(c) => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
}
